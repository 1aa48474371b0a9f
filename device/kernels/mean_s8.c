#include <string.h>

#include "m55/mean_s8_m55.h"
#include "mean_s8.h"
#include "model_operator.h"
#include "status.h"

#define CHANNEL_BLOCK 64

int mean_s8_check(const mean_t *s) {
    if (s->outer == 0 || s->reduce == 0 || s->inner == 0 || s->reduce > MEAN_MAX_REDUCE ||
        s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    return requantize_ok(s->multiplier, s->shift) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static void sum_block(const mean_t *s, const int8_t *input, size_t n, int32_t *acc) {
#if MOTEYE_M55
    mean_s8_m55(input, s->reduce, s->inner, (uint32_t)n, acc);
#else
    memset(acc, 0, n * sizeof(*acc));
    for (size_t r = 0; r < s->reduce; r++) {
        const int8_t *x = input + r * s->inner;
        for (size_t i = 0; i < n; i++) {
            acc[i] += x[i];
        }
    }
#endif
}

static void mean_block(const mean_t *s, const int8_t *input, size_t n, int8_t *output) {
    int32_t acc[CHANNEL_BLOCK];
    sum_block(s, input, n, acc);
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

_Static_assert(sizeof(mean_t) == 24, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const mean_t *s = model_op_body(op);
    int status = mean_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    // reduce <= 2^23, but outer * inner may still wrap 64 bits together with it.
    out->output_bytes = (uint64_t)s->outer * s->inner;
    if (out->output_bytes > UINT32_MAX) {
        return MOTEYE_ERR_SHAPE;
    }
    out->input_bytes = out->output_bytes * s->reduce;
    return MOTEYE_OK;
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return mean_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t mean_operator = {
    MODEL_OP_MEAN, sizeof(model_op_t) + sizeof(mean_t), check, run};
