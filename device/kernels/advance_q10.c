#include "advance_q10.h"
#include "fixed_q10.h"
#include "m55/advance_q10_m55.h"

#if !MOTEYE_M55

void word_vector_s8(const int8_t *row, uint32_t gain, uint32_t n, int8_t *out) {
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (int8_t)half_up(row[i] * (int32_t)gain, 15);
    }
}

void mean_q10(const int32_t *sum, uint32_t positions, uint32_t n, int16_t *out) {
    const divisor_t by = divisor_of(positions);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = sat16(divide_by(sum[i], &by));
    }
}

void add_word_q10(
    const int8_t *word, caption_factor_t factor, const int16_t *context, uint32_t n, int32_t *sum) {
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i++) {
        sum[i] = scale(word[i], &by) + context[i];
    }
}

void add_q10(const int16_t *x, uint32_t n, int32_t *sum) {
    for (uint32_t i = 0; i < n; i++) {
        sum[i] += x[i];
    }
}

void gate_q10(int16_t *x, const int16_t *gate, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        x[i] = sat16(half_up(x[i] * gate[i], 10));
    }
}

void hidden_s8(const int16_t *x, const int16_t *gamma, const int16_t *beta, uint32_t n,
    caption_factor_t factor, int8_t *out) {
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i++) {
        int32_t value = half_up(x[i] * gamma[i], 14) + beta[i];
        out[i] = (int8_t)clamp(scale(value, &by), -127, 127);
    }
}

#endif
