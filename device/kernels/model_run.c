#include "model_operator.h"
#include "status.h"

int model_run(const model_t *model, int8_t *arena, size_t arena_bytes) {
    if (arena_bytes < model->header.arena_bytes) {
        return MOTEYE_ERR_ARENA;
    }
    const uint8_t *at = model->pack + model->header.ops_offset;
    for (uint32_t i = 0; i < model->header.op_count; i++) {
        const model_op_t *op = (const model_op_t *)(const void *)at;
        int status = model_operator_find(op->kind)->run(model->pack, op, arena);
        if (status != MOTEYE_OK) {
            return status;
        }
        at += op->bytes;
    }
    return MOTEYE_OK;
}
