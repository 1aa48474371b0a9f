#include "add_s8_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

// Rounds half away from zero; `sign` is -1 where there is a shift to round, else 0.
static inline int32x4_t scale_down(
    int32x4_t x, int32_t multiplier, int32_t shift, int32x4_t sign) {
    x = vqrdmulhq_n_s32(x, multiplier);
    x = vaddq_s32(x, vandq_s32(vshrq_n_s32(x, 31), sign));
    return vrshlq_n_s32(x, shift);
}

bool add_s8_m55(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output) {
    const add_t s = *shape;
    const int32x4_t a_sign = vdupq_n_s32(s.a_shift < 0 ? -1 : 0);
    const int32x4_t b_sign = vdupq_n_s32(s.b_shift < 0 ? -1 : 0);
    const int32x4_t out_sign = vdupq_n_s32(s.out_shift < 0 ? -1 : 0);
    const int32x4_t low = vdupq_n_s32(s.act_min), high = vdupq_n_s32(s.act_max);
    for (int32_t left = (int32_t)s.count; left > 0; left -= 4, a += 4, b += 4, output += 4) {
        mve_pred16_t active = vctp32q((uint32_t)left);
        int32x4_t x = vsubq_n_s32(vldrbq_z_s32(a, active), s.a_zero_point);
        int32x4_t y = vsubq_n_s32(vldrbq_z_s32(b, active), s.b_zero_point);
        x = scale_down(vshlq_r_s32(x, s.left_shift), s.a_multiplier, s.a_shift, a_sign);
        y = scale_down(vshlq_r_s32(y, s.left_shift), s.b_multiplier, s.b_shift, b_sign);
        x = scale_down(vaddq_s32(x, y), s.out_multiplier, s.out_shift, out_sign);
        x = vminq_s32(vmaxq_s32(vaddq_n_s32(x, s.out_zero_point), low), high);
        vstrbq_p_s32(output, x, active);
    }
    return true;
}

#endif
