#include "modulate_q10_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

void modulate_sum_q10_m55(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum) {
    for (uint32_t i = 0; i < width; i += 4) {
        mve_pred16_t active = vctp32q(width - i);
        int32x4_t own = vldrhq_z_s32(bias + i, active), total = vdupq_n_s32(0);
        const int16_t *at = seen + i;
        for (uint32_t left = positions; left > 0; left--, at += width) {
            total = vaddq_s32(total, m55_hardswish(vaddq_s32(own, vldrhq_z_s32(at, active))));
        }
        vstrwq_p_s32(sum + i, total, active);
    }
}

void hardswish_all_q10_m55(int16_t *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        vstrhq_p_s32(x + i, m55_sat16(m55_hardswish(vldrhq_z_s32(x + i, active))), active);
    }
}

#endif
