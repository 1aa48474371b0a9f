#include "grn_s8_m7.h"

#if MOTEYE_M7

uint32_t grn_square_sums_m7(const grn_t *s, const int8_t *input, uint32_t *sums) {
    const uint32_t whole = s->channels / 4u * 4u, minus = (uint16_t)-s->in_zero_point * 0x10001u;
    for (uint32_t c = 0; c < whole; c += 4) {
        const int8_t *at = input + c;
        int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0; // modulo 2^32
        for (uint32_t left = s->pixels; left > 0; left--, at += s->channels) {
            uint32_t four = m7_load(at);
            uint32_t even = m7_sxtab16(minus, four), odd = m7_sxtab16_odd(minus, four);
            sum0 = m7_smlabb((int32_t)even, even, sum0);
            sum1 = m7_smlabb((int32_t)odd, odd, sum1);
            sum2 = m7_smlatt(even, even, sum2);
            sum3 = m7_smlatt(odd, odd, sum3);
        }
        sums[c] = (uint32_t)sum0;
        sums[c + 1] = (uint32_t)sum1;
        sums[c + 2] = (uint32_t)sum2;
        sums[c + 3] = (uint32_t)sum3;
    }
    return whole;
}

// Both zero points, the bias and the half of the rounding in one; with a product below 2^31.
static inline int32_t folded(const grn_t *s, int32_t factor, int32_t bias) {
    return bias + (1 << 15) + s->out_zero_point * (1 << 16) - factor * s->in_zero_point;
}

uint32_t grn_apply_m7(const grn_t *s, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output) {
    const uint32_t channels = s->channels, whole = channels / 2u * 2u;
    for (uint32_t c = 0; c < whole; c += 2) {
        const int32_t factor0 = factors[c], factor1 = factors[c + 1];
        const int32_t add0 = folded(s, factor0, bias[c]), add1 = folded(s, factor1, bias[c + 1]);
        const int8_t *from = input + c;
        int8_t *to = output + c;
        for (uint32_t left = s->pixels; left > 0; left--, from += channels, to += channels) {
            to[0] = (int8_t)m7_ssat8((factor0 * from[0] + add0) >> 16);
            to[1] = (int8_t)m7_ssat8((factor1 * from[1] + add1) >> 16);
        }
    }
    return whole;
}

#endif
