#include <string.h>

#include "pad_s8.h"
#include "model_operator.h"
#include "status.h"

int pad_s8_check(const pad_t *s) {
    if (s->in_h == 0 || s->in_w == 0 || s->in_c == 0 ||
        (uint32_t)s->before_h + s->in_h > s->out_h || (uint32_t)s->before_w + s->in_w > s->out_w ||
        (uint32_t)s->before_c + s->in_c > s->out_c || s->value < -128 || s->value > 127) {
        return MOTEYE_ERR_SHAPE;
    }
    return MOTEYE_OK;
}

int pad_s8(const pad_t *s, const int8_t *input, int8_t *output) {
    int status = pad_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    size_t row = (size_t)s->out_w * s->out_c;
    memset(output, s->value, s->out_h * row);
    for (size_t y = 0; y < s->in_h; y++) {
        int8_t *to =
            output + (s->before_h + y) * row + (size_t)s->before_w * s->out_c + s->before_c;
        for (size_t x = 0; x < s->in_w; x++) {
            memcpy(to, input, s->in_c);
            to += s->out_c;
            input += s->in_c;
        }
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(pad_t) == 20, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const pad_t *s = model_op_body(op);
    out->input_bytes = (uint64_t)s->in_h * s->in_w * s->in_c;
    out->output_bytes = (uint64_t)s->out_h * s->out_w * s->out_c;
    return pad_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return pad_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t pad_operator = {
    MODEL_OP_PAD, sizeof(model_op_t) + sizeof(pad_t), check, run};
