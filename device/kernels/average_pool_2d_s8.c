#include <string.h>

#include "average_pool_2d_s8.h"
#include "model_operator.h"
#include "status.h"

#define CHANNEL_BLOCK 64

int average_pool_2d_s8_check(const window_2d_t *w) {
    // Bounded so that a sum of int8 cannot overflow.
    if (!window_2d_pool_ok(w) || w->filter_zero_point < 0 || w->filter_zero_point > 1 ||
        (uint64_t)w->kernel_h * w->kernel_w > (1u << 23)) {
        return MOTEYE_ERR_SHAPE;
    }
    return window_2d_quant_ok(w) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static void average_block(const window_2d_t *w, const window_place_t *place, const int8_t *input,
    size_t channel, size_t n, int8_t *output) {
    int32_t acc[CHANNEL_BLOCK];
    tap_range_t rows = place->rows, columns = place->columns;
    memset(acc, 0, n * sizeof(*acc));
    for (uint32_t ky = rows.first; ky < rows.end; ky++) {
        for (uint32_t kx = columns.first; kx < columns.end; kx++) {
            const int8_t *from = window_2d_tap(w, place, input, ky, kx) + channel;
            for (size_t i = 0; i < n; i++) {
                acc[i] += from[i];
            }
        }
    }
    int32_t count = (int32_t)((rows.end - rows.first) * (columns.end - columns.first));
    const int32_t offset = w->filter_zero_point ? 128 : 0; // of uint8, which is never negative
    for (size_t i = 0; i < n; i++) {
        int32_t sum = acc[i] + offset * count;
        int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count - offset;
        output[channel + i] = (int8_t)clamp(mean, w->act_min, w->act_max);
    }
}

int average_pool_2d_s8(const window_2d_t *w, const int8_t *input, int8_t *output) {
    int status = average_pool_2d_s8_check(w);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (uint32_t y = 0; y < w->out_h; y++) {
        for (uint32_t x = 0; x < w->out_w; x++) {
            window_place_t place = window_2d_place(w, y, x);
            for (size_t channel = 0; channel < w->out_c; channel += CHANNEL_BLOCK) {
                size_t n = w->out_c - channel < CHANNEL_BLOCK ? w->out_c - channel : CHANNEL_BLOCK;
                average_block(w, &place, input, channel, n, output);
            }
            output += w->out_c;
        }
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(window_2d_t) == 40, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const window_2d_t *s = model_op_body(op);
    out->input_bytes = window_2d_input_bytes(s);
    out->output_bytes = window_2d_output_bytes(s);
    return average_pool_2d_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return average_pool_2d_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t average_pool_2d_operator = {
    MODEL_OP_AVERAGE_POOL_2D, sizeof(model_op_t) + sizeof(window_2d_t), check, run};
