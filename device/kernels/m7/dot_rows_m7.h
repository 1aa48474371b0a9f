/* dot_rows_m7: dot_rows on Cortex-M7, the vector widened once. False for a length that is not a multiple of
 * four, or above 2,048, for one row, and for rows that are not aligned to 4. Private to the runtime. */
#ifndef MOTEYE_DOT_ROWS_M7_H
#define MOTEYE_DOT_ROWS_M7_H

#include "target_m7.h"

#if MOTEYE_M7
bool dot_rows_m7(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc);
#endif

#endif
