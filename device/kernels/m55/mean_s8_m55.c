#include "mean_s8_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define MOST 256u // int8 of which 16 bits hold the sum

void mean_s8_m55(const int8_t *input, uint32_t reduce, uint32_t stride, uint32_t n, int32_t *sums) {
    for (uint32_t i = 0; i < n; i += 8) {
        mve_pred16_t active = vctp16q(n - i);
        mve_pred16_t low = vctp32q(n - i), high = n - i > 4 ? vctp32q(n - i - 4) : 0;
        int32x4_t first = vdupq_n_s32(0), second = vdupq_n_s32(0);
        const int8_t *x = input + i;
        for (uint32_t left = reduce; left > 0;) {
            uint32_t rows = left < MOST ? left : MOST;
            int16x8_t sum = vdupq_n_s16(0);
            for (uint32_t r = rows; r > 0; r--, x += stride) {
                sum = vaddq_s16(sum, vldrbq_z_s16(x, active));
            }
            int16_t lanes[8];
            vstrhq_s16(lanes, sum);
            first = vaddq_s32(first, vldrhq_s32(lanes));
            second = vaddq_s32(second, vldrhq_s32(lanes + 4));
            left -= rows;
        }
        vstrwq_p_s32(sums + i, first, low);
        vstrwq_p_s32(sums + i + 4, second, high);
    }
}

#endif
