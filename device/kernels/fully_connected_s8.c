#include "fully_connected_s8.h"
#include "dot.h"
#include "m7/fully_connected_s8_m7.h"
#include "status.h"

#define CHANNEL_BLOCK 64

int fully_connected_s8_check(const fully_connected_t *s, const channel_quant_t *quant) {
    if (s->rows == 0 || s->in_n == 0 || s->out_n == 0 || s->rows > 65535 || s->in_n > 65535 ||
        s->out_n > 65535) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!zero_point_ok(s->in_zero_point) || !zero_point_ok(s->out_zero_point) ||
        !activation_ok(s->act_min, s->act_max) ||
        (quant != NULL && !channel_quant_ok(quant, s->out_n))) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

// Rounds once, where the convolutions round twice: so does the reference.
static void requantize_block(const fully_connected_t *s, const channel_quant_t *quant,
    size_t channel, size_t n, const int32_t *acc, int8_t *output) {
    for (size_t i = 0; i < n; i++) {
        int32_t x = wrapping_add(acc[i], quant->bias[channel + i]);
        x = requantize_once(x, quant->multiplier[channel + i], quant->shift[channel + i]);
        output[i] = (int8_t)clamp(wrapping_add(x, s->out_zero_point), s->act_min, s->act_max);
    }
}

int fully_connected_s8(const fully_connected_t *s, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    int status = fully_connected_s8_check(s, quant);
    if (status != MOTEYE_OK) {
        return status;
    }
#if MOTEYE_M7
    if (fully_connected_s8_m7(s, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
    int32_t acc[CHANNEL_BLOCK];
    for (uint32_t row = 0; row < s->rows; row++) {
        for (size_t channel = 0; channel < s->out_n; channel += CHANNEL_BLOCK) {
            size_t n = s->out_n - channel < CHANNEL_BLOCK ? s->out_n - channel : CHANNEL_BLOCK;
            for (size_t i = 0; i < n; i++) {
                acc[i] =
                    dot_offset(input, filter + (channel + i) * s->in_n, s->in_n, s->in_zero_point);
            }
            requantize_block(s, quant, channel, n, acc, output + channel);
        }
        input += s->in_n;
        output += s->out_n;
    }
    return MOTEYE_OK;
}
