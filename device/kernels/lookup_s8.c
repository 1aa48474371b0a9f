#include "lookup_s8.h"
#include "model_operator.h"
#include "status.h"

void lookup_s8(const int8_t *input, size_t count, const int8_t *table, int8_t *output) {
    for (size_t i = 0; i < count; i++) {
        output[i] = table[input[i] + 128];
    }
}

typedef struct {
    uint32_t count;
    uint32_t table; // offset from the start of the pack
} record_t;

_Static_assert(sizeof(record_t) == 8, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    const record_t *r = model_op_body(op);
    out->input_bytes = out->output_bytes = r->count;
    out->in_place = true;
    if (r->count == 0) {
        return MOTEYE_ERR_SHAPE;
    }
    return model_constant_ok(header, r->table, 256, 1) ? MOTEYE_OK : MOTEYE_ERR_WEIGHTS;
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    lookup_s8(arena + op->input, r->count, (const int8_t *)pack + r->table, arena + op->output);
    return MOTEYE_OK;
}

const model_operator_t lookup_operator = {
    MODEL_OP_LOOKUP, sizeof(model_op_t) + sizeof(record_t), check, run};
