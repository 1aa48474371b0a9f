#include "layer_norm_q10_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

#define MOST 65535

static inline int32x4_t centred(const int32_t *x, int32_t mean, mve_pred16_t active) {
    int32x4_t away = vsubq_n_s32(vldrwq_z_s32(x, active), mean);
    return vminq_s32(vmaxq_s32(away, vdupq_n_s32(-MOST)), vdupq_n_s32(MOST));
}

int64_t layer_norm_total_m55(const int32_t *x, uint32_t n) {
    int64_t total = 0;
    for (uint32_t i = 0; i < n; i += 4) {
        total = vaddlvaq_s32(total, vldrwq_z_s32(x + i, vctp32q(n - i)));
    }
    return total;
}

uint64_t layer_norm_squares_m55(const int32_t *x, uint32_t n, int32_t mean) {
    int64_t squares = 0;
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t away = centred(x + i, mean, active);
        squares = vmlaldavaq_p_s32(squares, away, away, active);
    }
    return (uint64_t)squares;
}

void layer_norm_apply_m55(
    const int32_t *x, uint32_t n, int32_t mean, int32_t inverse, int32_t bits, int16_t *out) {
    const int32x4_t by = vdupq_n_s32(inverse << 14);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t product = vmulhq_s32(vshlq_n_s32(centred(x + i, mean, active), 15), by);
        vstrhq_p_s32(out + i, m55_sat16(vrshlq_n_s32(product, 3 - bits)), active);
    }
}

#endif
