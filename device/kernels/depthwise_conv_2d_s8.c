#include <string.h>

#include "depthwise_conv_2d_s8.h"
#include "m55/depthwise_conv_2d_s8_m55.h"
#include "m7/depthwise_conv_2d_s8_m7.h"
#include "x86/depthwise_conv_2d_s8_x86.h"
#include "status.h"
#include "window_record.h"

#define CHANNEL_BLOCK 64

int depthwise_conv_2d_s8_check(const window_2d_t *w, const channel_quant_t *quant) {
    if (!window_2d_ok(w) || w->depth_multiplier == 0 ||
        (uint32_t)w->in_c * w->depth_multiplier != w->out_c ||
        !window_2d_terms_ok(w, (uint64_t)w->kernel_h * w->kernel_w)) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!window_2d_quant_ok(w) || (quant != NULL && !channel_quant_ok(quant, w->out_c))) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

// n channels of one tap. The plain case runs over neighbouring bytes, so it vectorises.
static void accumulate_tap(const window_2d_t *w, const int8_t *restrict pixel,
    const int8_t *restrict filter, size_t channel, size_t n, int32_t *restrict acc) {
    const int32_t zero_point = w->in_zero_point;
    if (w->depth_multiplier == 1 && w->filter_zero_point == 0) {
        for (size_t i = 0; i < n; i++) {
            int16_t x = (int16_t)(pixel[channel + i] - zero_point);
            acc[i] += (int32_t)x * (int16_t)filter[channel + i];
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t x = pixel[(channel + i) / w->depth_multiplier] - zero_point;
        acc[i] += x * (filter[channel + i] - w->filter_zero_point);
    }
}

static void convolve_block(const window_2d_t *w, const window_place_t *place, const int8_t *input,
    const int8_t *filter, size_t channel, size_t n, int32_t *acc) {
    memset(acc, 0, n * sizeof(*acc));
    for (uint32_t ky = place->rows.first; ky < place->rows.end; ky++) {
        for (uint32_t kx = place->columns.first; kx < place->columns.end; kx++) {
            const int8_t *weights = filter + ((size_t)ky * w->kernel_w + kx) * w->out_c;
            accumulate_tap(w, window_2d_tap(w, place, input, ky, kx), weights, channel, n, acc);
        }
    }
}

void depthwise_channels_s8(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, uint32_t first, uint32_t end, int8_t *output) {
    int32_t acc[CHANNEL_BLOCK];
    for (uint32_t y = 0; y < w->out_h; y++) {
        for (uint32_t x = 0; x < w->out_w; x++) {
            window_place_t place = window_2d_place(w, y, x);
            for (size_t channel = first; channel < end; channel += CHANNEL_BLOCK) {
                size_t n = end - channel < CHANNEL_BLOCK ? end - channel : CHANNEL_BLOCK;
                convolve_block(w, &place, input, filter, channel, n, acc);
                window_2d_requantize(w, quant, channel, n, acc, output);
            }
            output += w->out_c;
        }
    }
}

int depthwise_conv_2d_s8(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    int status = depthwise_conv_2d_s8_check(w, quant);
    if (status != MOTEYE_OK) {
        return status;
    }
#if MOTEYE_M55
    if (w->filter_zero_point == 0 && depthwise_conv_2d_s8_m55(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
#if MOTEYE_M7
    if (w->filter_zero_point == 0 && depthwise_conv_2d_s8_m7(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
#if MOTEYE_X86
    if (depthwise_conv_2d_s8_x86(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
    depthwise_channels_s8(w, input, filter, quant, 0, w->out_c, output);
    return MOTEYE_OK;
}

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    const window_record_t *r = model_op_body(op);
    const window_2d_t *w = &r->window;
    int status = depthwise_conv_2d_s8_check(w, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    uint64_t terms = (uint64_t)w->kernel_h * w->kernel_w;
    return window_record_check(pack, header, r, terms, out);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const window_record_t *r = model_op_body(op);
    channel_quant_t quant = model_quant(pack, &r->weights);
    return depthwise_conv_2d_s8(&r->window, arena + op->input,
        (const int8_t *)pack + r->weights.filter, &quant, arena + op->output);
}

const model_operator_t depthwise_conv_2d_operator = {
    MODEL_OP_DEPTHWISE_CONV_2D, sizeof(model_op_t) + sizeof(window_record_t), check, run};
