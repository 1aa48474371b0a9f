// A custom operator for the test: every value and a constant, exclusive or; and a list of operators
// that has it and little else.
#include "model_operator.h"
#include "status.h"

typedef struct {
    uint32_t count;
    uint32_t mask; // offset from the start of the pack
} record_t;

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    const record_t *r = model_op_body(op);
    out->input_bytes = out->output_bytes = r->count;
    if (r->count == 0) {
        return MOTEYE_ERR_SHAPE;
    }
    return model_constant_ok(header, r->mask, 1, 1) ? MOTEYE_OK : MOTEYE_ERR_WEIGHTS;
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    for (uint32_t i = 0; i < r->count; i++) {
        arena[op->output + i] = (int8_t)(arena[op->input + i] ^ (int8_t)pack[r->mask]);
    }
    return MOTEYE_OK;
}

static const model_operator_t flip_operator = {
    MODEL_OP_CUSTOM, sizeof(model_op_t) + sizeof(record_t), check, run};

const model_operator_t *const model_operators[] = {&conv_2d_operator, &flip_operator, NULL};
