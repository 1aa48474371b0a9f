/* model_op: the op records of a pack, shared by model_open.c, model_check.c and model_run.c.
 * Private to the runtime.
 *
 * A record is a model_op_t header, the operator's own struct, and for operators with weights a
 * model_weights_t. All fields are little-endian and naturally aligned; records are multiples of 4
 * bytes. */
#ifndef MOTEYE_MODEL_OP_H
#define MOTEYE_MODEL_OP_H

#include "add_s8.h"
#include "fully_connected_s8.h"
#include "mean_s8.h"
#include "model.h"
#include "pad_s8.h"
#include "softmax_s8.h"
#include "transpose_s8.h"
#include "window_2d.h"

enum {
    MODEL_OP_CONV_2D = 1,
    MODEL_OP_DEPTHWISE_CONV_2D = 2,
    MODEL_OP_FULLY_CONNECTED = 3,
    MODEL_OP_ADD = 4,
    MODEL_OP_PAD = 5,
    MODEL_OP_MEAN = 6,
    MODEL_OP_AVERAGE_POOL_2D = 7,
    MODEL_OP_MAX_POOL_2D = 8,
    MODEL_OP_TRANSPOSE = 9,
    MODEL_OP_SOFTMAX = 10,
};

typedef struct {
    uint16_t kind, bytes;    // bytes: of the whole record
    uint32_t input, input_b; // arena offsets; input_b 0 unless ADD
    uint32_t output;         // arena offset
} model_op_t;

// Offsets from the start of the pack; all but `filter` and `shift` are multiples of 4.
typedef struct {
    uint32_t filter, bias, multiplier, shift;
} model_weights_t;

// The largest record, so that one copy on the stack holds any.
typedef struct {
    model_op_t op;
    union {
        struct {
            window_2d_t window;
            model_weights_t weights;
        } conv;
        struct {
            fully_connected_t shape;
            model_weights_t weights;
        } fully_connected;
        window_2d_t pool;
        add_t add;
        pad_t pad;
        mean_t mean;
        transpose_t transpose;
        softmax_t softmax;
    } as;
} model_record_t;

static inline channel_quant_t model_quant(const uint8_t *pack, const model_weights_t *weights) {
    channel_quant_t quant = {(const int32_t *)(const void *)(pack + weights->bias),
        (const int32_t *)(const void *)(pack + weights->multiplier),
        (const int8_t *)(pack + weights->shift)};
    return quant;
}

static inline bool model_inside(uint64_t offset, uint64_t bytes, uint64_t first, uint64_t end) {
    return offset >= first && offset <= end && bytes <= end - offset;
}

/* model_check_ops: every record of a pack whose header is checked (model_check.c). Returns
 * MOTEYE_OK, or the reason of the first record that does not fit. */
int model_check_ops(const uint8_t *pack, const model_header_t *header);

#endif
