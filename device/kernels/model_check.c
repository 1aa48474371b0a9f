#include <string.h>

#include "average_pool_2d_s8.h"
#include "conv_2d_s8.h"
#include "depthwise_conv_2d_s8.h"
#include "max_pool_2d_s8.h"
#include "model_op.h"
#include "status.h"

_Static_assert(sizeof(window_2d_t) == 40 && sizeof(fully_connected_t) == 20 &&
                   sizeof(add_t) == 40 && sizeof(pad_t) == 20 && sizeof(mean_t) == 24 &&
                   sizeof(transpose_t) == 12 && sizeof(softmax_t) == 24 &&
                   sizeof(model_op_t) == 16 && sizeof(model_weights_t) == 16,
    "record layout");

// What a record touches, gathered by the check of its kind.
typedef struct {
    uint64_t input_bytes, input_b_bytes, output_bytes;
    uint64_t macs;
    bool in_place; // output may be an input itself
} footprint_t;

static bool disjoint(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
    return a + a_bytes <= b || b + b_bytes <= a;
}

static bool weights_ok(const model_header_t *h, const model_weights_t *weights,
    uint64_t filter_bytes, uint64_t channels) {
    uint64_t first = h->data_offset, end = first + h->data_bytes;
    return model_inside(weights->filter, filter_bytes, first, end) &&
           model_inside(weights->bias, 4 * channels, first, end) &&
           model_inside(weights->multiplier, 4 * channels, first, end) &&
           model_inside(weights->shift, channels, first, end) && weights->bias % 4 == 0 &&
           weights->multiplier % 4 == 0;
}

static int check_conv(
    const uint8_t *pack, const model_header_t *h, const model_record_t *r, footprint_t *out) {
    const window_2d_t *w = &r->as.conv.window;
    bool depthwise = r->op.kind == MODEL_OP_DEPTHWISE_CONV_2D;
    int status = depthwise ? depthwise_conv_2d_s8_check(w, NULL) : conv_2d_s8_check(w, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    uint64_t terms = (uint64_t)w->kernel_h * w->kernel_w * (depthwise ? 1 : w->in_c);
    if (!weights_ok(h, &r->as.conv.weights, terms * w->out_c, w->out_c)) {
        return MOTEYE_ERR_WEIGHTS;
    }
    channel_quant_t quant = model_quant(pack, &r->as.conv.weights);
    out->input_bytes = window_2d_input_bytes(w);
    out->output_bytes = window_2d_output_bytes(w);
    out->macs = terms * out->output_bytes;
    return channel_quant_ok(&quant, w->out_c) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static int check_fully_connected(
    const uint8_t *pack, const model_header_t *h, const model_record_t *r, footprint_t *out) {
    const fully_connected_t *s = &r->as.fully_connected.shape;
    int status = fully_connected_s8_check(s, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    if (!weights_ok(h, &r->as.fully_connected.weights, (uint64_t)s->in_n * s->out_n, s->out_n)) {
        return MOTEYE_ERR_WEIGHTS;
    }
    channel_quant_t quant = model_quant(pack, &r->as.fully_connected.weights);
    out->input_bytes = (uint64_t)s->rows * s->in_n;
    out->output_bytes = (uint64_t)s->rows * s->out_n;
    out->macs = out->output_bytes * s->in_n;
    return channel_quant_ok(&quant, s->out_n) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static int check_pool(const model_record_t *r, footprint_t *out) {
    const window_2d_t *w = &r->as.pool;
    out->input_bytes = window_2d_input_bytes(w);
    out->output_bytes = window_2d_output_bytes(w);
    return r->op.kind == MODEL_OP_MAX_POOL_2D ? max_pool_2d_s8_check(w)
                                              : average_pool_2d_s8_check(w);
}

static int check_add(const model_record_t *r, footprint_t *out) {
    out->input_bytes = out->input_b_bytes = out->output_bytes = r->as.add.count;
    out->in_place = true;
    return add_s8_check(&r->as.add);
}

static int check_pad(const model_record_t *r, footprint_t *out) {
    const pad_t *s = &r->as.pad;
    out->input_bytes = (uint64_t)s->in_h * s->in_w * s->in_c;
    out->output_bytes = (uint64_t)s->out_h * s->out_w * s->out_c;
    return pad_s8_check(s);
}

static int check_mean(const model_record_t *r, footprint_t *out) {
    const mean_t *s = &r->as.mean;
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

static int check_transpose(const model_record_t *r, footprint_t *out) {
    const transpose_t *s = &r->as.transpose;
    out->input_bytes = (uint64_t)s->dims[0] * s->dims[1] * ((uint64_t)s->dims[2] * s->dims[3]);
    out->output_bytes = out->input_bytes;
    return transpose_s8_check(s);
}

static int check_softmax(const model_record_t *r, footprint_t *out) {
    const softmax_t *s = &r->as.softmax;
    out->input_bytes = out->output_bytes = (uint64_t)s->rows * s->depth;
    out->in_place = true;
    return softmax_s8_check(s);
}

static size_t record_bytes(uint16_t kind) {
    switch (kind) {
        case MODEL_OP_CONV_2D:
        case MODEL_OP_DEPTHWISE_CONV_2D:
            return sizeof(model_op_t) + sizeof(window_2d_t) + sizeof(model_weights_t);
        case MODEL_OP_FULLY_CONNECTED:
            return sizeof(model_op_t) + sizeof(fully_connected_t) + sizeof(model_weights_t);
        case MODEL_OP_ADD: return sizeof(model_op_t) + sizeof(add_t);
        case MODEL_OP_PAD: return sizeof(model_op_t) + sizeof(pad_t);
        case MODEL_OP_MEAN: return sizeof(model_op_t) + sizeof(mean_t);
        case MODEL_OP_AVERAGE_POOL_2D:
        case MODEL_OP_MAX_POOL_2D: return sizeof(model_op_t) + sizeof(window_2d_t);
        case MODEL_OP_TRANSPOSE: return sizeof(model_op_t) + sizeof(transpose_t);
        case MODEL_OP_SOFTMAX: return sizeof(model_op_t) + sizeof(softmax_t);
        default: return 0;
    }
}

static int check_kind(
    const uint8_t *pack, const model_header_t *h, const model_record_t *r, footprint_t *out) {
    switch (r->op.kind) {
        case MODEL_OP_CONV_2D:
        case MODEL_OP_DEPTHWISE_CONV_2D: return check_conv(pack, h, r, out);
        case MODEL_OP_FULLY_CONNECTED: return check_fully_connected(pack, h, r, out);
        case MODEL_OP_ADD: return check_add(r, out);
        case MODEL_OP_PAD: return check_pad(r, out);
        case MODEL_OP_MEAN: return check_mean(r, out);
        case MODEL_OP_AVERAGE_POOL_2D:
        case MODEL_OP_MAX_POOL_2D: return check_pool(r, out);
        case MODEL_OP_TRANSPOSE: return check_transpose(r, out);
        case MODEL_OP_SOFTMAX: return check_softmax(r, out);
        default: return MOTEYE_ERR_OP;
    }
}

// Where a record's tensors stand: inside the arena, and not on top of each other.
static int check_placement(const model_header_t *h, const model_op_t *op, const footprint_t *f) {
    if (!model_inside(op->input, f->input_bytes, 0, h->arena_bytes) ||
        !model_inside(op->input_b, f->input_b_bytes, 0, h->arena_bytes) ||
        !model_inside(op->output, f->output_bytes, 0, h->arena_bytes)) {
        return MOTEYE_ERR_ARENA;
    }
    bool a_ok = disjoint(op->input, f->input_bytes, op->output, f->output_bytes) ||
                (f->in_place && op->input == op->output);
    bool b_ok = f->input_b_bytes == 0 ||
                disjoint(op->input_b, f->input_b_bytes, op->output, f->output_bytes) ||
                (f->in_place && op->input_b == op->output);
    return a_ok && b_ok ? MOTEYE_OK : MOTEYE_ERR_OVERLAP;
}

int model_check_ops(const uint8_t *pack, const model_header_t *h) {
    uint64_t macs = 0;
    uint32_t at = h->ops_offset, end = h->ops_offset + h->ops_bytes;
    for (uint32_t i = 0; i < h->op_count; i++) {
        model_record_t record = {0};
        if (end - at < sizeof(record.op)) {
            return MOTEYE_ERR_OP;
        }
        memcpy(&record.op, pack + at, sizeof(record.op));
        size_t bytes = record_bytes(record.op.kind);
        if (bytes == 0 || bytes != record.op.bytes || bytes > end - at) {
            return MOTEYE_ERR_OP;
        }
        memcpy(&record, pack + at, bytes);
        at += (uint32_t)bytes;
        footprint_t footprint = {0};
        int status = check_kind(pack, h, &record, &footprint);
        if (status == MOTEYE_OK) {
            status = check_placement(h, &record.op, &footprint);
        }
        if (status != MOTEYE_OK) {
            return status;
        }
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
