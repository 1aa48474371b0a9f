#include <string.h>

#include "mean_s8.h"
#include "status.h"

#define CHANNEL_BLOCK 64

int mean_s8_check(const mean_t *s) {
    if (s->outer == 0 || s->reduce == 0 || s->inner == 0 || s->reduce > MEAN_MAX_REDUCE ||
        s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    return requantize_ok(s->multiplier, s->shift) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static void mean_block(const mean_t *s, const int8_t *input, size_t n, int8_t *output) {
    int32_t acc[CHANNEL_BLOCK];
    memset(acc, 0, n * sizeof(*acc));
    for (size_t r = 0; r < s->reduce; r++) {
        const int8_t *x = input + r * s->inner;
        for (size_t i = 0; i < n; i++) {
            acc[i] += x[i];
        }
    }
    int32_t offset = s->in_zero_point * (int32_t)s->reduce;
    for (size_t i = 0; i < n; i++) {
        int32_t x =
            wrapping_add(requantize(acc[i] - offset, s->multiplier, s->shift), s->out_zero_point);
        output[i] = (int8_t)clamp(x, -128, 127);
    }
}

int mean_s8(const mean_t *s, const int8_t *input, int8_t *output) {
    int status = mean_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (size_t outer = 0; outer < s->outer; outer++) {
        for (size_t first = 0; first < s->inner; first += CHANNEL_BLOCK) {
            size_t n = s->inner - first < CHANNEL_BLOCK ? s->inner - first : CHANNEL_BLOCK;
            mean_block(s, input + first, n, output + first);
        }
        input += (size_t)s->reduce * s->inner;
        output += s->inner;
    }
    return MOTEYE_OK;
}
