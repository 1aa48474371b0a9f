#include "model_operator.h"
#include "status.h"

_Static_assert(sizeof(model_op_t) == 16 && sizeof(model_weights_t) == 16, "record layout");

const model_operator_t *model_operator_find(uint16_t kind) {
    for (size_t i = 0; model_operators[i] != NULL; i++) {
        if (model_operators[i]->kind == kind) {
            return model_operators[i];
        }
    }
    return NULL;
}

int model_weights_check(const uint8_t *pack, const model_header_t *header,
    const model_weights_t *weights, uint64_t filter_bytes, uint64_t channels) {
    if (!model_constant_ok(header, weights->filter, filter_bytes, 1) ||
        !model_constant_ok(header, weights->bias, 4 * channels, 4) ||
        !model_constant_ok(header, weights->multiplier, 4 * channels, 4) ||
        !model_constant_ok(header, weights->shift, channels, 1)) {
        return MOTEYE_ERR_WEIGHTS;
    }
    channel_quant_t quant = model_quant(pack, weights);
    return channel_quant_ok(&quant, channels) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

// Whether an input and the output may stand where they do.
static bool apart(
    uint32_t input, uint64_t input_bytes, uint32_t output, const model_footprint_t *f) {
    return input + input_bytes <= output || output + f->output_bytes <= input ||
           (f->in_place && input == output && input_bytes == f->output_bytes);
}

// Where a record's tensors stand: inside the arena, and not on top of each other.
static int check_placement(
    const model_header_t *h, const model_op_t *op, const model_footprint_t *f) {
    if (!model_inside(op->input, f->input_bytes, 0, h->arena_bytes) ||
        !model_inside(op->input_b, f->input_b_bytes, 0, h->arena_bytes) ||
        !model_inside(op->output, f->output_bytes, 0, h->arena_bytes)) {
        return MOTEYE_ERR_ARENA;
    }
    bool ok = apart(op->input, f->input_bytes, op->output, f) &&
              (f->input_b_bytes == 0 || apart(op->input_b, f->input_b_bytes, op->output, f));
    return ok ? MOTEYE_OK : MOTEYE_ERR_OVERLAP;
}

int model_check_ops(const uint8_t *pack, const model_header_t *h) {
    uint64_t macs = 0;
    uint32_t at = h->ops_offset, end = h->ops_offset + h->ops_bytes;
    for (uint32_t i = 0; i < h->op_count; i++) {
        const model_op_t *op = (const model_op_t *)(const void *)(pack + at);
        if (end - at < sizeof(*op)) {
            return MOTEYE_ERR_OP;
        }
        const model_operator_t *found = model_operator_find(op->kind);
        if (found == NULL || found->bytes != op->bytes || op->bytes > end - at) {
            return MOTEYE_ERR_OP;
        }
        model_footprint_t footprint = {0};
        int status = found->check(pack, h, op, &footprint);
        if (status == MOTEYE_OK) {
            status = check_placement(h, op, &footprint);
        }
        if (status != MOTEYE_OK) {
            return status;
        }
        at += op->bytes;
        macs += footprint.macs;
        if (macs > h->macs) {
            return MOTEYE_ERR_MACS;
        }
    }
    if (at != end) {
        return MOTEYE_ERR_OP;
    }
    return macs == h->macs ? MOTEYE_OK : MOTEYE_ERR_MACS;
}
