/* dot_m7: dot.h on Cortex-M7. Private to the runtime. */
#ifndef MOTEYE_DOT_M7_H
#define MOTEYE_DOT_M7_H

#include "target_m7.h"

#if MOTEYE_M7

int32_t m7_dot_offset(const int8_t *a, const int8_t *b, uint32_t n, int32_t zero_point);

#endif
#endif
