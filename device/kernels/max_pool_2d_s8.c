#include <string.h>

#include "max_pool_2d_s8.h"
#include "model_operator.h"
#include "status.h"

int max_pool_2d_s8_check(const window_2d_t *w) {
    if (!window_2d_pool_ok(w) || w->filter_zero_point != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    return window_2d_quant_ok(w) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

static void max_pixel(const window_2d_t *w, const window_place_t *place, const int8_t *input,
    int8_t *restrict output) {
    size_t channels = w->in_c;
    memset(output, -128, channels);
    for (uint32_t ky = place->rows.first; ky < place->rows.end; ky++) {
        for (uint32_t kx = place->columns.first; kx < place->columns.end; kx++) {
            const int8_t *from = window_2d_tap(w, place, input, ky, kx);
            for (size_t i = 0; i < channels; i++) {
                output[i] = from[i] > output[i] ? from[i] : output[i];
            }
        }
    }
    for (size_t i = 0; i < channels; i++) {
        output[i] = (int8_t)clamp(output[i], w->act_min, w->act_max);
    }
}

int max_pool_2d_s8(const window_2d_t *w, const int8_t *input, int8_t *output) {
    int status = max_pool_2d_s8_check(w);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (uint32_t y = 0; y < w->out_h; y++) {
        for (uint32_t x = 0; x < w->out_w; x++) {
            window_place_t place = window_2d_place(w, y, x);
            max_pixel(w, &place, input, output);
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
    return max_pool_2d_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return max_pool_2d_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t max_pool_2d_operator = {
    MODEL_OP_MAX_POOL_2D, sizeof(model_op_t) + sizeof(window_2d_t), check, run};
