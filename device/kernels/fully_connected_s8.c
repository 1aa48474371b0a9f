#include "fully_connected_s8.h"
#include "dot.h"
#include "m7/fully_connected_s8_m7.h"
#include "model_operator.h"
#include "status.h"

#define CHANNEL_BLOCK 64

int fully_connected_s8_check(const fully_connected_t *s, const channel_quant_t *quant) {
    if (s->rows == 0 || s->in_n == 0 || s->out_n == 0 || s->rows > 65535 || s->out_n > 65535 ||
        s->in_n > (s->filter_zero_point == 0 ? 65535u : 32767u) || s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!zero_point_ok(s->in_zero_point) || !zero_point_ok(s->filter_zero_point) ||
        !zero_point_ok(s->out_zero_point) || !activation_ok(s->act_min, s->act_max) ||
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
    if (s->filter_zero_point == 0 && fully_connected_s8_m7(s, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
    int32_t acc[CHANNEL_BLOCK];
    for (uint32_t row = 0; row < s->rows; row++) {
        int32_t excess = 0; // what the filter's zero point takes off each product
        for (size_t i = 0; s->filter_zero_point != 0 && i < s->in_n; i++) {
            excess += s->filter_zero_point * (input[i] - s->in_zero_point);
        }
        for (size_t channel = 0; channel < s->out_n; channel += CHANNEL_BLOCK) {
            size_t n = s->out_n - channel < CHANNEL_BLOCK ? s->out_n - channel : CHANNEL_BLOCK;
            for (size_t i = 0; i < n; i++) {
                acc[i] =
                    dot_offset(input, filter + (channel + i) * s->in_n, s->in_n, s->in_zero_point) -
                    excess;
            }
            requantize_block(s, quant, channel, n, acc, output + channel);
        }
        input += s->in_n;
        output += s->out_n;
    }
    return MOTEYE_OK;
}

typedef struct {
    fully_connected_t shape;
    model_weights_t weights;
} record_t;

_Static_assert(sizeof(record_t) == 40, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    const record_t *r = model_op_body(op);
    const fully_connected_t *s = &r->shape;
    int status = fully_connected_s8_check(s, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    out->input_bytes = (uint64_t)s->rows * s->in_n;
    out->output_bytes = (uint64_t)s->rows * s->out_n;
    out->macs = out->output_bytes * s->in_n;
    return model_weights_check(pack, header, &r->weights, (uint64_t)s->in_n * s->out_n, s->out_n);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    channel_quant_t quant = model_quant(pack, &r->weights);
    return fully_connected_s8(&r->shape, arena + op->input,
        (const int8_t *)pack + r->weights.filter, &quant, arena + op->output);
}

const model_operator_t fully_connected_operator = {
    MODEL_OP_FULLY_CONNECTED, sizeof(model_op_t) + sizeof(record_t), check, run};
