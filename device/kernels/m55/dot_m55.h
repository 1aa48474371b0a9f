/* dot_m55: dot products on Helium, for dot.h. Private to the runtime. */
#ifndef MOTEYE_DOT_M55_H
#define MOTEYE_DOT_M55_H

#include "target_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

// int8[n] against int8[n], the zero point taken off a. Needs n <= 65,535.
static inline int32_t m55_dot_offset(
    const int8_t *a, const int8_t *b, uint32_t n, int32_t zero_point) {
    int32_t acc = 0, sum = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        mve_pred16_t active = vctp8q(n - i);
        int8x16_t y = vldrbq_z_s8(b + i, active);
        acc = vmladavaq_s8(acc, vldrbq_z_s8(a + i, active), y);
        sum = vaddvaq_s8(sum, y);
    }
    return acc - zero_point * sum;
}

#endif
#endif
