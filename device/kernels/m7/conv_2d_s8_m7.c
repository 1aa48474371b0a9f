#include <string.h>

#include "../window_2d_gather.h"
#include "conv_2d_s8_m7.h"
#include "stem_m7.h"
#include "tile_m7.h"

#if MOTEYE_M7

#define SCRATCH_WORDS 4096
#define MAX_TERMS 1024

// Copies a run of bytes; short ones are the rule, so no call. The last word may overlap.
static inline void copy_run(int8_t *to, const int8_t *from, uint32_t n) {
    if (n < 4) {
        for (uint32_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
        return;
    }
    uint32_t word;
    for (uint32_t i = 0; i + 4 < n; i += 4) {
        word = m7_load(from + i);
        __builtin_memcpy(to + i, &word, sizeof(word));
    }
    word = m7_load(from + n - 4);
    __builtin_memcpy(to + n - 4, &word, sizeof(word));
}

static void zero_steps(uint32_t *out, uint32_t steps) {
    for (; steps > 0; steps--, out += TILE_STEP_WORDS) {
        out[0] = 0;
        out[1] = 0;
    }
}

// One window of whole steps a tap, widened row by row of the kernel.
static void widen_window(const window_2d_t *w, const window_place_t *place, const int8_t *input,
    uint32_t minus, uint32_t *out) {
    uint32_t tap_steps = w->in_c / 4, row_words = w->kernel_w * tap_steps * TILE_STEP_WORDS;
    tap_range_t rows = place->rows, columns = place->columns;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++, out += row_words) {
        if (ky < rows.first || ky >= rows.end || columns.first >= columns.end) {
            zero_steps(out, w->kernel_w * tap_steps);
            continue;
        }
        zero_steps(out, columns.first * tap_steps);
        tile_m7_pixel(window_2d_tap(w, place, input, ky, columns.first),
            (columns.end - columns.first) * tap_steps, minus,
            out + columns.first * tap_steps * TILE_STEP_WORDS);
        zero_steps(out + columns.end * tap_steps * TILE_STEP_WORDS,
            (w->kernel_w - columns.end) * tap_steps);
    }
}

typedef struct {
    const window_2d_t *w;
    const int8_t *input;
    stem_m7_t stem;
    uint32_t terms, steps, minus;
    uint32_t y, x;                   // of the next pixel
    int32_t top;                     // input row of its window
    uint32_t whole_first, whole_end; // columns whose windows lie inside; none where rows do not
    int8_t *patch;                   // scratch for windows that are gathered first
    bool direct, by_rows;
} source_t;

// To pixel (y, 0). Which windows of this row lie inside is known once.
static void start_row(source_t *s, uint32_t y) {
    const window_2d_t *w = s->w;
    s->y = y;
    s->x = 0;
    s->top = (int32_t)(y * w->stride_h) - w->pad_top;
    if (s->stem.used) {
        stem_m7_row(&s->stem, s->input, y);
        return;
    }
    s->whole_first = s->whole_end = 0;
    if (w->dilation_h == 1 && w->dilation_w == 1 && s->top >= 0 &&
        s->top + w->kernel_h <= w->in_h && w->in_w >= w->kernel_w) {
        s->whole_first = (w->pad_left + w->stride_w - 1u) / w->stride_w;
        s->whole_end = (uint32_t)(w->in_w - w->kernel_w + w->pad_left) / w->stride_w + 1;
    }
}

// A window inside the input.
static void widen_whole(source_t *s, uint32_t *out) {
    const window_2d_t *w = s->w;
    uint32_t in_row = (uint32_t)w->in_w * w->in_c, run = (uint32_t)w->kernel_w * w->in_c;
    const int8_t *from =
        s->input + (uint32_t)s->top * in_row + (s->x * w->stride_w - w->pad_left) * w->in_c;
    if (s->by_rows) {
        for (uint32_t ky = w->kernel_h; ky > 0; ky--, from += in_row, out += run) {
            tile_m7_pixel(from, run / 4, s->minus, out);
        }
        return;
    }
    int8_t *patch = s->patch;
    for (uint32_t ky = w->kernel_h; ky > 0; ky--, from += in_row, patch += run) {
        copy_run(patch, from, run);
    }
    tile_m7_pixel(s->patch, s->steps, s->minus, out);
}

// The next pixel of the output: its window, widened.
static void widen_next(source_t *s, uint32_t *out) {
    const window_2d_t *w = s->w;
    if (s->direct) {
        tile_m7_pixel(s->input, s->steps, s->minus, out);
        s->input += s->terms;
        return;
    }
    if (s->stem.used) {
        stem_m7_window(&s->stem, s->x, out);
    } else if (s->x >= s->whole_first && s->x < s->whole_end) {
        widen_whole(s, out);
    } else {
        window_place_t place = window_2d_place(w, s->y, s->x);
        if (s->by_rows) {
            widen_window(w, &place, s->input, s->minus, out);
        } else {
            window_2d_gather(w, &place, s->input, copy_run, s->patch);
            tile_m7_pixel(s->patch, s->steps, s->minus, out);
        }
    }
    if (++s->x == w->out_w) {
        start_row(s, s->y + 1);
    }
}

static void widen_block(source_t *s, uint32_t pixels, uint32_t *out) {
    uint32_t pair_words = s->steps * TILE_STEP_WORDS;
    for (uint32_t i = 0; i < pixels; i++) {
        widen_next(s, out + (i / 2) * pair_words + (i & 1) * 2);
    }
    if (pixels & 1) {
        // Computed and thrown away, but not from bytes that nobody wrote.
        zero_steps(out + (pixels / 2) * pair_words + 2, s->steps);
    }
}

// Two channels for which the five instructions are not exact.
static void general_pair(const window_2d_t *w, const channel_quant_t *quant, uint32_t channel,
    tile_m7_t *tile, uint32_t steps, uint32_t pixels, int8_t *output) {
    int32_t sums[4];
    tile_m7_end_t raw = tile_m7_end(TILE_M7_RAW);
    tile->entry = tile_m7_entry(raw, steps);
    memset(tile->bias, 0, sizeof(tile->bias));
    for (uint32_t pixel = 0; pixel < pixels; pixel += 2) {
        tile->pixels_end = tile->pixels + steps * TILE_STEP_WORDS;
        tile->out = sums;
        raw.run(tile);
        tile->pixels = tile->pixels_end;
        for (uint32_t i = 0; i < 4 && pixel + i / 2 < pixels; i++) {
            int32_t acc = sums[i] / 2;
            window_2d_requantize(
                w, quant, channel + i % 2, 1, &acc, output + (pixel + i / 2) * w->out_c);
        }
    }
}

// A channel whose weights are all zero has one value; scales of such channels are often odd.
static bool dead_factor(const window_2d_t *w, const channel_quant_t *quant, uint32_t channel,
    const int8_t *row, uint32_t terms, m7_factor_t *out) {
    uint32_t i = 0, seen = 0;
    for (; i + 4 <= terms && seen == 0; i += 4) {
        seen = m7_load(row + i);
    }
    for (; i < terms; i++) {
        seen |= (uint8_t)row[i];
    }
    if (seen != 0) {
        return false;
    }
    int32_t acc = 0;
    int8_t value;
    channel_quant_t own = {
        quant->bias + channel, quant->multiplier + channel, quant->shift + channel};
    window_2d_requantize(w, &own, 0, 1, &acc, &value);
    *out = m7_constant(value);
    return true;
}

// The weights of two channels, their terms in the pixels' order.
static void widen_weights(const source_t *s, const int8_t *rows, uint32_t *weights) {
    tile_m7_weights(rows, rows + s->terms, s->terms, weights);
    if (s->stem.used) {
        stem_m7_weights(s->steps, weights);
    }
}

// The factor and bias of one channel; turns its widened weights round where it must.
static bool prepare_channel(const window_2d_t *w, const channel_quant_t *quant, uint32_t channel,
    const int8_t *row, uint32_t terms, uint32_t *weights, m7_factor_t *factor, int32_t *bias) {
    m7_way_t way = m7_factor(quant, channel, terms, w->out_zero_point, factor);
    *bias = 2 * quant->bias[channel];
    if (way == M7_GENERAL) {
        *bias = 0;
        return dead_factor(w, quant, channel, row, terms, factor);
    }
    if (way == M7_NEGATED) {
        *bias = -*bias;
        for (uint32_t i = 0; i < terms; i += 4, weights += TILE_STEP_WORDS) {
            weights[0] = m7_negate(weights[0]);
            weights[1] = m7_negate(weights[1]);
        }
    }
    return true;
}

// Two channels of a block of widened pixels.
static void run_pair(const window_2d_t *w, const channel_quant_t *quant, uint32_t channel,
    const source_t *s, const int8_t *rows, uint32_t *weights, const uint32_t *pixels,
    uint32_t count, int8_t *output) {
    uint32_t pair_words = s->steps * TILE_STEP_WORDS;
    tile_m7_t tile;
    widen_weights(s, rows, weights);
    tile.weights = weights;
    tile.weights_end = weights + pair_words;
    tile.pixels = pixels;
    if (!prepare_channel(
            w, quant, channel, rows, s->terms, weights, &tile.factor[0], &tile.bias[0]) ||
        !prepare_channel(w, quant, channel + 1, rows + s->terms, s->terms, weights + 2,
            &tile.factor[1], &tile.bias[1])) {
        widen_weights(s, rows, weights);
        general_pair(w, quant, channel, &tile, s->steps, count, output);
        return;
    }
    tile.bias[2] = tile.bias[0];
    tile.bias[3] = tile.bias[1];
    tile_m7_end_t end = tile_m7_end(w->out_zero_point == -128 ? TILE_M7_FLOORED : TILE_M7_ROUNDED);
    tile.entry = tile_m7_entry(end, s->steps);
    tile.pixels_end = pixels + (count / 2) * pair_words;
    tile.out = output + channel;
    tile.stride = w->out_c;
    if (count >= 2) {
        end.run(&tile);
    }
    if (count & 1) {
        int8_t last[4];
        tile.pixels = tile.pixels_end;
        tile.pixels_end += pair_words;
        tile.out = last;
        tile.stride = 2;
        end.run(&tile);
        memcpy(output + (count - 1) * w->out_c + channel, last, 2);
    }
}

bool conv_2d_s8_m7(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w * w->in_c;
    if (w->out_c < 2 || terms > MAX_TERMS) {
        return false;
    }
    uint32_t scratch[SCRATCH_WORDS];
    int8_t patch[MAX_TERMS];
    uint32_t steps = (terms + 3) / 4, pair_words = steps * TILE_STEP_WORDS;
    bool flat = terms == w->in_c && w->stride_h == 1 && w->stride_w == 1 && w->pad_top == 0 &&
                w->pad_left == 0 && w->out_h == w->in_h && w->out_w == w->in_w;
    source_t source = {.w = w, .input = input, .terms = terms, .steps = steps, .patch = patch};
    source.minus = m7_twice_minus(w->in_zero_point);
    source.direct = flat && terms % 4 == 0;
    source.by_rows = w->in_c % 4 == 0 && w->dilation_w == 1;
    uint32_t *weights = scratch + stem_m7_lay_out(w, scratch, &source.stem);
    start_row(&source, 0);
    memset(patch + terms, w->in_zero_point, 4 * steps - terms);
    uint32_t *pixels = weights + pair_words;
    uint32_t block = 2 * ((uint32_t)(scratch + SCRATCH_WORDS - pixels) / pair_words);
    uint32_t left = (uint32_t)w->out_h * w->out_w;
    int8_t *out = output;
    while (left > 0) {
        uint32_t count = left < block ? left : block;
        widen_block(&source, count, pixels);
        for (uint32_t i = 0; i < w->out_c; i += 2) {
            // The last of an odd number of channels takes its neighbour along again.
            uint32_t channel = i + 1 < w->out_c ? i : w->out_c - 2u;
            run_pair(
                w, quant, channel, &source, filter + channel * terms, weights, pixels, count, out);
        }
        out += count * w->out_c;
        left -= count;
    }
    m7_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
