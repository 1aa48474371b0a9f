/* dot_rows_x86: dot_rows on AVX2. False where there is none, and above 4,096 terms. Private to the
 * runtime. */
#ifndef MOTEYE_DOT_ROWS_X86_H
#define MOTEYE_DOT_ROWS_X86_H

#include "target_x86.h"

#if MOTEYE_X86
bool dot_rows_x86(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc);
#endif

#endif
