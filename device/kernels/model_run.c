#include <string.h>

#include "model_operator.h"
#include "status.h"

static const model_op_t *next_op(const model_op_t *op) {
    return (const model_op_t *)(const void *)((const uint8_t *)op + op->bytes);
}

static const model_op_t *first_op(const model_t *model) {
    return (const model_op_t *)(const void *)(model->pack + model->header.ops_offset);
}

int model_tap(
    const model_t *model, uint32_t before_end, uint32_t bytes, int8_t *out, model_tap_t *tap) {
    if (before_end >= model->header.op_count) {
        return MOTEYE_ERR_SHAPE;
    }
    uint32_t number = model->header.op_count - 1 - before_end;
    const model_op_t *op = first_op(model);
    for (uint32_t i = 0; i < number; i++) {
        op = next_op(op);
    }
    model_footprint_t footprint = {0};
    int status = model_operator_find(op->kind)->check(model->pack, &model->header, op, &footprint);
    if (status != MOTEYE_OK || footprint.output_bytes != bytes) {
        return MOTEYE_ERR_SHAPE;
    }
    tap->op = number;
    tap->bytes = bytes;
    tap->out = out;
    return MOTEYE_OK;
}

int model_run_tapped(
    const model_t *model, int8_t *arena, size_t arena_bytes, const model_tap_t *tap) {
    if (arena_bytes < model->header.arena_bytes) {
        return MOTEYE_ERR_ARENA;
    }
    const model_op_t *op = first_op(model);
    for (uint32_t i = 0; i < model->header.op_count; i++, op = next_op(op)) {
        int status = model_operator_find(op->kind)->run(model->pack, op, arena);
        if (status != MOTEYE_OK) {
            return status;
        }
        if (tap != NULL && i == tap->op) {
            memcpy(tap->out, arena + op->output, tap->bytes);
        }
    }
    return MOTEYE_OK;
}

int model_run(const model_t *model, int8_t *arena, size_t arena_bytes) {
    return model_run_tapped(model, arena, arena_bytes, NULL);
}
