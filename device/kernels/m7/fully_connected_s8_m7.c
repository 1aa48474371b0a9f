#include "fully_connected_s8_m7.h"

#if MOTEYE_M7

#define MAX_INPUTS 2048

// Words of four values: (0, 2), (1, 3) as halves, the zero point taken off; zeros fill the last.
static void widen_row(const int8_t *input, uint32_t n, int32_t zero_point, uint32_t *out) {
    uint32_t minus = (uint16_t)-zero_point * 0x10001u;
    for (; n >= 4; n -= 4, input += 4, out += 2) {
        uint32_t bytes = m7_load(input);
        out[0] = m7_sxtab16(minus, bytes);
        out[1] = m7_sxtab16_odd(minus, bytes);
    }
    if (n > 0) {
        uint16_t halves[4] = {0, 0, 0, 0};
        for (uint32_t i = 0; i < n; i++) {
            halves[2 * (i % 2) + i / 2] = (uint16_t)(input[i] - zero_point);
        }
        __builtin_memcpy(out, halves, sizeof(halves));
    }
}

static int32_t dot_widened(const uint32_t *x, const int8_t *weights, uint32_t n) {
    int32_t acc = 0;
    for (; n >= 8; n -= 8, x += 4, weights += 8) {
        uint32_t first = m7_load(weights), second = m7_load(weights + 4);
        acc = m7_smlad(x[0], m7_sxtab16(0, first), acc);
        acc = m7_smlad(x[1], m7_sxtab16_odd(0, first), acc);
        acc = m7_smlad(x[2], m7_sxtab16(0, second), acc);
        acc = m7_smlad(x[3], m7_sxtab16_odd(0, second), acc);
    }
    const int16_t *halves = (const int16_t *)(const void *)x;
    for (uint32_t i = 0; i < n; i++) {
        acc += halves[(i / 4) * 4 + 2 * (i % 2) + (i % 4) / 2] * weights[i];
    }
    return acc;
}

bool fully_connected_s8_m7(const fully_connected_t *s, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    if (s->in_n > MAX_INPUTS) {
        return false;
    }
    uint32_t row[MAX_INPUTS / 2];
    for (uint32_t r = 0; r < s->rows; r++, input += s->in_n) {
        widen_row(input, s->in_n, s->in_zero_point, row);
        for (uint32_t i = 0; i < s->out_n; i++) {
            int32_t x = dot_widened(row, filter + i * s->in_n, s->in_n);
            x = requantize_once(
                wrapping_add(x, quant->bias[i]), quant->multiplier[i], quant->shift[i]);
            *output++ = (int8_t)clamp(wrapping_add(x, s->out_zero_point), s->act_min, s->act_max);
        }
    }
    return true;
}

#endif
