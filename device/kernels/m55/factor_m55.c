#include "target_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

static int32_t sum_weights(const int8_t *weights, uint32_t terms, uint32_t step, bool *zero) {
    int32_t sum = 0;
    uint32_t seen = 0;
    if (terms == 16 && step == 1) {
        int8x16_t w = vldrbq_s8(weights);
        *zero = vcmpneq_n_s8(w, 0) == 0;
        return vaddvq_s8(w);
    }
    if (step == 1) {
        int8x16_t any = vdupq_n_s8(0);
        for (int32_t left = (int32_t)terms; left > 0; left -= 16, weights += 16) {
            int8x16_t w = vldrbq_z_s8(weights, vctp8q((uint32_t)left));
            sum = vaddvaq_s8(sum, w);
            any = vorrq_s8(any, w);
        }
        seen = vcmpneq_n_s8(any, 0);
    } else {
        for (uint32_t i = 0; i < terms; i++, weights += step) {
            sum += *weights;
            seen |= (uint8_t)*weights;
        }
    }
    *zero = seen == 0;
    return sum;
}

bool m55_factor(const channel_quant_t *quant, uint32_t channel, const int8_t *weights,
    uint32_t terms, uint32_t step, int32_t in_zero_point, int32_t out_zero_point,
    m55_factor_t *out) {
    int32_t bias = quant->bias[channel], multiplier = quant->multiplier[channel];
    int32_t shift = quant->shift[channel];
    bool zero;
    int32_t sum = sum_weights(weights, terms, step, &zero);
    if (shift < 0 || multiplier == 0) {
        int32_t offset = (int32_t)((uint32_t)sum * (uint32_t)in_zero_point);
        out->bias = (int32_t)((uint32_t)bias - (uint32_t)offset);
        out->multiplier = multiplier;
        out->shift = shift < 0 ? shift : -1;
        return true;
    }
    if (!zero) {
        return false;
    }
    // The sum is the bias: make it 4 times the output, to be halved twice.
    int32_t value =
        clamp(wrapping_add(requantize(bias, multiplier, shift), out_zero_point), -128, 127);
    *out = (m55_factor_t){4 * (value - out_zero_point), 1 << 30, -1};
    return true;
}

void m55_clamp(int8_t *values, uint32_t count, int32_t act_min, int32_t act_max) {
    if (act_min == -128 && act_max == 127) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int8_t)clamp(values[i], act_min, act_max);
    }
}

#endif
