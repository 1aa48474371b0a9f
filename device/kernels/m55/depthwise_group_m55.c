#include "depthwise_group_m55.h"

#if MOTEYE_M55

// True where each weight is above -128.
static bool copy_weights(
    const int8_t *from, uint32_t step, uint32_t taps, mve_pred16_t active, int8_t *to) {
    int8x16_t least = vdupq_n_s8(0);
    for (; taps > 0; taps--, from += step, to += LANES) {
        int8x16_t weights = vldrbq_z_s8(from, active);
        least = vminq_s8(least, weights);
        vstrbq_s8(to, weights);
    }
    return vminvq_s8(0, least) > -128;
}

bool depthwise_group_m55(const window_2d_t *w, const int8_t *filter, const channel_quant_t *quant,
    uint32_t first, uint32_t lanes, int8_t *weights, depthwise_group_m55_t *g) {
    const mve_pred16_t bytes = vctp8q(lanes);
    const uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w;
    if (!copy_weights(filter + first, w->out_c, taps, bytes, weights)) {
        return false;
    }
    const uint32x4_t places = vidupq_n_u32(0, 4);
    for (uint32_t k = 0; k < 4; k++) {
        const uint32x4_t lane = vaddq_n_u32(places, k);
        mve_pred16_t active = vcmphiq_u32(vdupq_n_u32(lanes), lane);
        vstrwq_s32(
            g->bias[k], vldrwq_gather_shifted_offset_z_s32(quant->bias + first, lane, active));
        vstrwq_s32(g->multiplier[k],
            vldrwq_gather_shifted_offset_z_s32(quant->multiplier + first, lane, active));
        vstrwq_s32(g->shift[k], vldrbq_gather_offset_z_s32(quant->shift + first, lane, active));
    }
    int8x16_t shifts = vldrbq_z_s8(quant->shift + first, bytes);
    if (vcmpgeq_m_n_s8(shifts, 0, bytes) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < lanes; i++) {
        m55_factor_t f;
        if (quant->shift[first + i] < 0) {
            continue;
        }
        if (!m55_factor(quant, first + i, weights + i, taps, LANES, 0, w->out_zero_point, &f)) {
            return false;
        }
        g->bias[i % 4][i / 4] = f.bias;
        g->multiplier[i % 4][i / 4] = f.multiplier;
        g->shift[i % 4][i / 4] = f.shift;
    }
    return true;
}

#endif
