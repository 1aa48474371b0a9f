#include <string.h>

#include "average_pool_2d_s8.h"
#include "conv_2d_s8.h"
#include "depthwise_conv_2d_s8.h"
#include "max_pool_2d_s8.h"
#include "model_op.h"
#include "status.h"

static int run_op(const uint8_t *pack, const model_record_t *r, int8_t *arena) {
    const int8_t *input = arena + r->op.input;
    int8_t *output = arena + r->op.output;
    const model_weights_t *weights = r->op.kind == MODEL_OP_FULLY_CONNECTED
                                         ? &r->as.fully_connected.weights
                                         : &r->as.conv.weights;
    switch (r->op.kind) {
        case MODEL_OP_CONV_2D: {
            channel_quant_t quant = model_quant(pack, weights);
            return conv_2d_s8(
                &r->as.conv.window, input, (const int8_t *)pack + weights->filter, &quant, output);
        }
        case MODEL_OP_DEPTHWISE_CONV_2D: {
            channel_quant_t quant = model_quant(pack, weights);
            return depthwise_conv_2d_s8(
                &r->as.conv.window, input, (const int8_t *)pack + weights->filter, &quant, output);
        }
        case MODEL_OP_FULLY_CONNECTED: {
            channel_quant_t quant = model_quant(pack, weights);
            return fully_connected_s8(&r->as.fully_connected.shape, input,
                (const int8_t *)pack + weights->filter, &quant, output);
        }
        case MODEL_OP_ADD: return add_s8(&r->as.add, input, arena + r->op.input_b, output);
        case MODEL_OP_PAD: return pad_s8(&r->as.pad, input, output);
        case MODEL_OP_MEAN: return mean_s8(&r->as.mean, input, output);
        case MODEL_OP_AVERAGE_POOL_2D: return average_pool_2d_s8(&r->as.pool, input, output);
        case MODEL_OP_MAX_POOL_2D: return max_pool_2d_s8(&r->as.pool, input, output);
        case MODEL_OP_TRANSPOSE: return transpose_s8(&r->as.transpose, input, output);
        case MODEL_OP_SOFTMAX: return softmax_s8(&r->as.softmax, input, output);
        default: return MOTEYE_ERR_OP;
    }
}

int model_run(const model_t *model, int8_t *arena, size_t arena_bytes) {
    if (arena_bytes < model->header.arena_bytes) {
        return MOTEYE_ERR_ARENA;
    }
    const uint8_t *at = model->pack + model->header.ops_offset;
    for (uint32_t i = 0; i < model->header.op_count; i++) {
        model_record_t record;
        memcpy(&record.op, at, sizeof(record.op));
        memcpy(&record, at, record.op.bytes);
        int status = run_op(model->pack, &record, arena);
        if (status != MOTEYE_OK) {
            return status;
        }
        at += record.op.bytes;
    }
    return MOTEYE_OK;
}
