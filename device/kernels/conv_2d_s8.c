#include <string.h>

#include "conv_2d_s8.h"
#include "dot.h"
#include "m55/conv_2d_s8_m55.h"
#include "m7/conv_2d_s8_m7.h"
#include "x86/conv_2d_s8_x86.h"
#include "status.h"
#include "window_record.h"

// Channels requantised together, and the longest patch that is gathered; both bound the stack.
#define CHANNEL_BLOCK 64
#define PATCH_MAX 512

int conv_2d_s8_check(const window_2d_t *w, const channel_quant_t *quant) {
    if (!window_2d_ok(w) || w->depth_multiplier != 0 ||
        !window_2d_terms_ok(w, (uint64_t)w->kernel_h * w->kernel_w * w->in_c)) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!window_2d_quant_ok(w) || (quant != NULL && !channel_quant_ok(quant, w->out_c))) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

void conv_2d_gather(
    const window_2d_t *w, const window_place_t *place, const int8_t *input, int16_t *patch) {
    size_t c = w->in_c;
    size_t row_terms = w->kernel_w * c;
    tap_range_t rows = place->rows, columns = place->columns;
    if (rows.first > 0 || rows.end < w->kernel_h || columns.first > 0 ||
        columns.end < w->kernel_w) {
        memset(patch, 0, w->kernel_h * row_terms * sizeof(*patch));
    }
    if (columns.first >= columns.end) {
        return;
    }
    // Without dilation a row of taps is one run of bytes.
    size_t run = w->dilation_w == 1 ? columns.end - columns.first : 1;
    for (uint32_t ky = rows.first; ky < rows.end; ky++) {
        for (uint32_t kx = columns.first; kx < columns.end; kx += run) {
            const int8_t *from = window_2d_tap(w, place, input, ky, kx);
            widen(from, run * c, w->in_zero_point, patch + ky * row_terms + kx * c);
        }
    }
}

// A window too long to gather: one dot product per tap.
static int32_t dot_window(
    const window_2d_t *w, const window_place_t *place, const int8_t *input, const int8_t *filter) {
    int32_t acc = 0;
    for (uint32_t ky = place->rows.first; ky < place->rows.end; ky++) {
        for (uint32_t kx = place->columns.first; kx < place->columns.end; kx++) {
            const int8_t *weights = filter + ((size_t)ky * w->kernel_w + kx) * w->in_c;
            acc += dot_offset(
                window_2d_tap(w, place, input, ky, kx), weights, w->in_c, w->in_zero_point);
        }
    }
    return acc;
}

static void dot_rows(
    const int16_t *patch, const int8_t *filter, size_t terms, size_t n, int32_t *acc) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        dot_4(patch, filter + i * terms, terms, acc + i);
    }
    for (; i < n; i++) {
        acc[i] = dot(patch, filter + i * terms, terms);
    }
}

// A filter's zero point takes the sum of the window off each product.
static int32_t sum_window(const window_2d_t *w, const window_place_t *place, const int8_t *input) {
    int32_t sum = 0;
    for (uint32_t ky = place->rows.first; ky < place->rows.end; ky++) {
        for (uint32_t kx = place->columns.first; kx < place->columns.end; kx++) {
            const int8_t *x = window_2d_tap(w, place, input, ky, kx);
            for (size_t i = 0; i < w->in_c; i++) {
                sum += x[i] - w->in_zero_point;
            }
        }
    }
    return sum;
}

static void convolve_pixel(const window_2d_t *w, const window_place_t *place, const int8_t *input,
    const int8_t *filter, const channel_quant_t *quant, int8_t *output) {
    int16_t patch[PATCH_MAX];
    int32_t acc[CHANNEL_BLOCK];
    size_t terms = (size_t)w->kernel_h * w->kernel_w * w->in_c;
    if (terms <= PATCH_MAX) {
        conv_2d_gather(w, place, input, patch);
    }
    int32_t excess =
        w->filter_zero_point == 0 ? 0 : w->filter_zero_point * sum_window(w, place, input);
    for (size_t channel = 0; channel < w->out_c; channel += CHANNEL_BLOCK) {
        size_t n = w->out_c - channel < CHANNEL_BLOCK ? w->out_c - channel : CHANNEL_BLOCK;
        if (terms <= PATCH_MAX) {
            dot_rows(patch, filter + channel * terms, terms, n, acc);
        } else {
            for (size_t i = 0; i < n; i++) {
                acc[i] = dot_window(w, place, input, filter + (channel + i) * terms);
            }
        }
        for (size_t i = 0; excess != 0 && i < n; i++) {
            acc[i] -= excess;
        }
        window_2d_requantize(w, quant, channel, n, acc, output);
    }
}

int conv_2d_s8(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    int status = conv_2d_s8_check(w, quant);
    if (status != MOTEYE_OK) {
        return status;
    }
#if MOTEYE_M55
    if (w->filter_zero_point == 0 && conv_2d_s8_m55(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
#if MOTEYE_M7
    if (w->filter_zero_point == 0 && conv_2d_s8_m7(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
#if MOTEYE_X86
    if (conv_2d_s8_x86(w, input, filter, quant, output)) {
        return MOTEYE_OK;
    }
#endif
    for (uint32_t y = 0; y < w->out_h; y++) {
        for (uint32_t x = 0; x < w->out_w; x++) {
            window_place_t place = window_2d_place(w, y, x);
            convolve_pixel(w, &place, input, filter, quant, output);
            output += w->out_c;
        }
    }
    return MOTEYE_OK;
}

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    const window_record_t *r = model_op_body(op);
    const window_2d_t *w = &r->window;
    int status = conv_2d_s8_check(w, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    uint64_t terms = (uint64_t)w->kernel_h * w->kernel_w * w->in_c;
    return window_record_check(pack, header, r, terms, out);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const window_record_t *r = model_op_body(op);
    channel_quant_t quant = model_quant(pack, &r->weights);
    return conv_2d_s8(&r->window, arena + op->input, (const int8_t *)pack + r->weights.filter,
        &quant, arena + op->output);
}

const model_operator_t conv_2d_operator = {
    MODEL_OP_CONV_2D, sizeof(model_op_t) + sizeof(window_record_t), check, run};
