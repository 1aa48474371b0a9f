#include "advance_q10_m55.h"
#include "../advance_q10.h"
#include "../fixed_q10.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

void word_vector_s8(const int8_t *row, uint32_t gain, uint32_t n, int8_t *out) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = vmulq_n_s32(vldrbq_z_s32(row + i, active), (int32_t)gain);
        vstrbq_p_s32(out + i, vrshrq_n_s32(value, 15), active);
    }
}

void mean_q10(const int32_t *sum, uint32_t positions, uint32_t n, int16_t *out) {
    const divisor_t by = divisor_of(positions);
    const int32x4_t inverse = vdupq_n_s32(by.inverse);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = vshlq_n_s32(vldrwq_z_s32(sum + i, active), 2);
        value = vmulhq_s32(vaddq_n_s32(value, by.add), inverse);
        vstrhq_p_s32(out + i, m55_sat16(vshlq_r_s32(value, -by.down)), active);
    }
}

void add_word_q10(
    const int8_t *word, caption_factor_t factor, const int16_t *context, uint32_t n, int32_t *sum) {
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = m55_scale(vldrbq_z_s32(word + i, active), &by);
        value = vaddq_s32(value, vldrhq_z_s32(context + i, active));
        vstrwq_p_s32(sum + i, value, active);
    }
}

void add_q10(const int16_t *x, uint32_t n, int32_t *sum) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = vaddq_s32(vldrwq_z_s32(sum + i, active), vldrhq_z_s32(x + i, active));
        vstrwq_p_s32(sum + i, value, active);
    }
}

void gate_q10(int16_t *x, const int16_t *gate, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = vmulq_s32(vldrhq_z_s32(x + i, active), vldrhq_z_s32(gate + i, active));
        vstrhq_p_s32(x + i, m55_sat16(vrshrq_n_s32(value, 10)), active);
    }
}

void hidden_s8(const int16_t *x, const int16_t *gamma, const int16_t *beta, uint32_t n,
    caption_factor_t factor, int8_t *out) {
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = vmulq_s32(vldrhq_z_s32(x + i, active), vldrhq_z_s32(gamma + i, active));
        value = vaddq_s32(vrshrq_n_s32(value, 14), vldrhq_z_s32(beta + i, active));
        value = vmaxq_s32(m55_scale(value, &by), vdupq_n_s32(-127));
        vstrbq_p_s32(out + i, vminq_s32(value, vdupq_n_s32(127)), active);
    }
}

#endif
