#include "grn_s8_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

void grn_square_sums_m55(
    const int8_t *input, uint32_t pixels, uint32_t channels, int32_t zero_point, uint32_t *sums) {
    for (uint32_t c = 0; c < channels; c += 4) {
        mve_pred16_t active = vctp32q(channels - c);
        int32x4_t sum = vdupq_n_s32(0);
        const int8_t *at = input + c;
        for (uint32_t left = pixels; left > 0; left--, at += channels) {
            int32x4_t x = vsubq_n_s32(vldrbq_z_s32(at, active), zero_point);
            sum = vaddq_s32(sum, vmulq_s32(x, x));
        }
        vstrwq_p_u32(sums + c, vreinterpretq_u32_s32(sum), active);
    }
}

void grn_apply_m55(const grn_t *s, const int8_t *input, const int32_t *factors, const int32_t *bias,
    int8_t *output) {
    const uint32_t channels = s->channels;
    for (uint32_t c = 0; c < channels; c += 4) {
        mve_pred16_t active = vctp32q(channels - c);
        const int32x4_t factor = vldrwq_z_s32(factors + c, active);
        const int32x4_t own = vldrwq_z_s32(bias + c, active);
        const int8_t *from = input + c;
        int8_t *to = output + c;
        for (uint32_t left = s->pixels; left > 0; left--, from += channels, to += channels) {
            int32x4_t x = vsubq_n_s32(vldrbq_z_s32(from, active), s->in_zero_point);
            x = vrshrq_n_s32(vaddq_s32(vmulq_s32(x, factor), own), 16);
            x = vaddq_n_s32(x, s->out_zero_point);
            x = vminq_s32(vmaxq_s32(x, vdupq_n_s32(-128)), vdupq_n_s32(127));
            vstrbq_p_s32(to, x, active);
        }
    }
}

#endif
