#include "add_s8_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

// Rounds half away from zero; `sign` is -1 where there is a shift to round, else 0.
static inline int32x4_t scale_down(int32x4_t x, int32_t multiplier, int32_t shift, int32x4_t sign) {
    x = vqrdmulhq_n_s32(x, multiplier);
    x = vaddq_s32(x, vandq_s32(vshrq_n_s32(x, 31), sign));
    return vrshlq_n_s32(x, shift);
}

static inline int32x4_t add_four(const add_t *s, int32x4_t x, int32x4_t y, int32x4_t a_sign,
    int32x4_t b_sign, int32x4_t out_sign) {
    x = vshlq_r_s32(vsubq_n_s32(x, s->a_zero_point), s->left_shift);
    y = vshlq_r_s32(vsubq_n_s32(y, s->b_zero_point), s->left_shift);
    x = scale_down(x, s->a_multiplier, s->a_shift, a_sign);
    y = scale_down(y, s->b_multiplier, s->b_shift, b_sign);
    x = scale_down(vaddq_s32(x, y), s->out_multiplier, s->out_shift, out_sign);
    x = vaddq_n_s32(x, s->out_zero_point);
    x = vreinterpretq_s32_s16(vqmovnbq_s32(vreinterpretq_s16_s32(x), x));
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s32(x), vreinterpretq_s16_s32(x)));
}

bool add_s8_m55(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output) {
    const add_t s = *shape;
    int8_t *const start = output;
    const int32x4_t a_sign = vdupq_n_s32(s.a_shift < 0 ? -1 : 0);
    const int32x4_t b_sign = vdupq_n_s32(s.b_shift < 0 ? -1 : 0);
    const int32x4_t out_sign = vdupq_n_s32(s.out_shift < 0 ? -1 : 0);
    for (uint32_t n = s.count / 4; n > 0; n--, a += 4, b += 4, output += 4) {
        int32x4_t x = vldrbq_s32(a), y = vldrbq_s32(b);
        vstrbq_s32(output, add_four(&s, x, y, a_sign, b_sign, out_sign));
    }
    mve_pred16_t rest = vctp32q(s.count % 4);
    int32x4_t x = vldrbq_z_s32(a, rest), y = vldrbq_z_s32(b, rest);
    vstrbq_p_s32(output, add_four(&s, x, y, a_sign, b_sign, out_sign), rest);
    m55_clamp(start, s.count, s.act_min, s.act_max);
    return true;
}

#endif
