/* window_2d: geometry and quantisation that convolutions and poolings share. One image, layout
 * [h][w][c].
 *
 * Output (y, x) looks at input rows y*stride_h - pad_top + ky*dilation_h for ky in [0, kernel_h),
 * columns likewise; places outside the input count as the input's zero point (convolution) or are
 * left out (pooling). The struct is also the layout in a pack (FORMAT.md): 40 bytes, no holes. */
#ifndef MOTEYE_WINDOW_2D_H
#define MOTEYE_WINDOW_2D_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "requantize.h"

// Farthest start of a window, so that positions fit int32.
#define WINDOW_2D_MAX_START (1u << 30)
// Longest dot product: 65,535 terms of at most 255 * 128 stay below 2^31.
#define WINDOW_2D_MAX_TERMS 65535u
// The same with a zero point taken off the weights, too.
#define WINDOW_2D_MAX_OFFSET_TERMS 32767u

typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
    int16_t in_zero_point, out_zero_point;
    int16_t act_min, act_max;
    uint16_t depth_multiplier; // depthwise only, else 0
    // Of models converted from uint8, else 0. Convolutions: subtracted from every weight. Average
    // pooling: 1, halves are rounded up instead of away from zero.
    int16_t filter_zero_point;
} window_2d_t;

typedef struct {
    uint32_t first, end; // taps [first, end) lie inside the input; empty when end <= first
} tap_range_t;

static inline bool window_2d_ok(const window_2d_t *w) {
    return w->in_h && w->in_w && w->in_c && w->out_h && w->out_w && w->out_c && w->kernel_h &&
           w->kernel_w && w->stride_h && w->stride_w && w->dilation_h && w->dilation_w &&
           (uint64_t)(w->out_h - 1u) * w->stride_h <= WINDOW_2D_MAX_START &&
           (uint64_t)(w->out_w - 1u) * w->stride_w <= WINDOW_2D_MAX_START;
}

static inline bool window_2d_quant_ok(const window_2d_t *w) {
    return zero_point_ok(w->in_zero_point) && zero_point_ok(w->out_zero_point) &&
           zero_point_ok(w->filter_zero_point) && activation_ok(w->act_min, w->act_max);
}

/* window_2d_terms_ok: whether a dot product of that many terms fits 32 bits. */
static inline bool window_2d_terms_ok(const window_2d_t *w, uint64_t terms) {
    return terms <= (w->filter_zero_point == 0 ? WINDOW_2D_MAX_TERMS : WINDOW_2D_MAX_OFFSET_TERMS);
}

/* window_2d_pool_ok: as window_2d_ok, for poolings: no dilation, channels kept, and no window
 * without input. */
static inline bool window_2d_pool_ok(const window_2d_t *w) {
    return window_2d_ok(w) && w->in_c == w->out_c && w->dilation_h == 1 && w->dilation_w == 1 &&
           w->depth_multiplier == 0 && w->pad_top < w->kernel_h && w->pad_left < w->kernel_w &&
           (w->out_h - 1u) * w->stride_h < (uint32_t)w->in_h + w->pad_top &&
           (w->out_w - 1u) * w->stride_w < (uint32_t)w->in_w + w->pad_left;
}

static inline uint64_t window_2d_input_bytes(const window_2d_t *w) {
    return (uint64_t)w->in_h * w->in_w * w->in_c;
}

static inline uint64_t window_2d_output_bytes(const window_2d_t *w) {
    return (uint64_t)w->out_h * w->out_w * w->out_c;
}

/* taps_inside: which of `kernel` taps, `dilation` apart from `origin` on, fall into [0, size). */
static inline tap_range_t taps_inside(
    int32_t origin, uint32_t kernel, uint32_t dilation, uint32_t size) {
    tap_range_t taps = {0, 0};
    if (origin < 0) {
        taps.first = ((uint32_t)-origin + dilation - 1) / dilation;
    }
    if (origin < (int32_t)size) {
        taps.end = ((uint32_t)((int32_t)size - 1 - origin)) / dilation + 1;
    }
    taps.end = taps.end < kernel ? taps.end : kernel;
    return taps;
}

// Where one window stands: its corner, which may lie outside, and the taps that lie inside.
typedef struct {
    int32_t top, left;
    tap_range_t rows, columns;
} window_place_t;

static inline window_place_t window_2d_place(const window_2d_t *w, uint32_t y, uint32_t x) {
    window_place_t place;
    place.top = (int32_t)(y * w->stride_h) - w->pad_top;
    place.left = (int32_t)(x * w->stride_w) - w->pad_left;
    place.rows = taps_inside(place.top, w->kernel_h, w->dilation_h, w->in_h);
    place.columns = taps_inside(place.left, w->kernel_w, w->dilation_w, w->in_w);
    return place;
}

/* window_2d_whole_columns: output columns [first, end) whose windows lie inside the input's width;
 * window_2d_whole_rows likewise. Without dilation only. */
static inline tap_range_t window_2d_whole(
    uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t pad) {
    tap_range_t range = {(pad + stride - 1) / stride, 0};
    range.end = in < kernel ? 0 : (in - kernel + pad) / stride + 1;
    range.end = range.end < out ? range.end : out;
    return range;
}

static inline tap_range_t window_2d_whole_columns(const window_2d_t *w) {
    return window_2d_whole(w->in_w, w->out_w, w->kernel_w, w->stride_w, w->pad_left);
}

static inline tap_range_t window_2d_whole_rows(const window_2d_t *w) {
    return window_2d_whole(w->in_h, w->out_h, w->kernel_h, w->stride_h, w->pad_top);
}

/* window_2d_tap: the pixel under tap (ky, kx), which must lie inside. */
static inline const int8_t *window_2d_tap(const window_2d_t *w, const window_place_t *place,
    const int8_t *input, uint32_t ky, uint32_t kx) {
    size_t y = (size_t)(place->top + (int32_t)(ky * w->dilation_h));
    size_t x = (size_t)(place->left + (int32_t)(kx * w->dilation_w));
    return input + (y * w->in_w + x) * w->in_c;
}

/* window_2d_requantize: n accumulators to int8; they are of output channels `channel` and on. */
static inline void window_2d_requantize(const window_2d_t *w, const channel_quant_t *quant,
    size_t channel, size_t n, const int32_t *restrict acc, int8_t *restrict output) {
    const int32_t *bias = quant->bias + channel;
    const int32_t *multiplier = quant->multiplier + channel;
    const int8_t *shift = quant->shift + channel;
    const int32_t zero_point = w->out_zero_point, act_min = w->act_min, act_max = w->act_max;
    for (size_t i = 0; i < n; i++) {
        int32_t x = requantize(wrapping_add(acc[i], bias[i]), multiplier[i], shift[i]);
        output[channel + i] = (int8_t)clamp(wrapping_add(x, zero_point), act_min, act_max);
    }
}

#endif
