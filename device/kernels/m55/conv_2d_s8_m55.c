#include "../window_2d_gather.h"
#include "conv_2d_s8_m55.h"
#include "tile_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define SCRATCH_BYTES 8192
#define MAX_TERMS 2048
#define MAX_KEPT 128
#define TILE_PIXELS 3u

static inline void copy_run(int8_t *to, const int8_t *from, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) {
        mve_pred16_t active = vctp8q(n - i);
        vstrbq_p_s8(to + i, vldrbq_z_s8(from + i, active), active);
    }
}

// As copy_windows, for rows of whole vectors: a constant number of them gives no inner loop.
static inline __attribute__((always_inline)) void copy_vectors(const window_2d_t *w,
    const int8_t *from, uint32_t step, uint32_t n, int8_t *to, const uint32_t vectors) {
    uint32_t in_row = (uint32_t)w->in_w * w->in_c, rows = w->kernel_h;
    for (; n > 0; n--, from += step) {
        const int8_t *row = from;
        for (uint32_t ky = rows; ky > 0; ky--, row += in_row, to += 16 * vectors) {
            _Pragma("GCC unroll 6") for (uint32_t i = 0; i < vectors; i++) {
                vstrbq_s8(to + 16 * i, vldrbq_s8(row + 16 * i));
            }
        }
    }
}

// `n` whole windows of one output row, `step` bytes apart.
static void copy_windows(
    const window_2d_t *w, const int8_t *from, uint32_t step, uint32_t n, int8_t *to) {
    uint32_t in_row = (uint32_t)w->in_w * w->in_c, run = (uint32_t)w->kernel_w * w->in_c;
    if (run <= 16 && w->kernel_h == 3) {
        const mve_pred16_t active = vctp8q(run);
        for (; n > 0; n--, from += step, to += 3 * run) {
            int8x16_t first = vldrbq_z_s8(from, active);
            int8x16_t second = vldrbq_z_s8(from + in_row, active);
            int8x16_t third = vldrbq_z_s8(from + 2 * in_row, active);
            vstrbq_p_s8(to, first, active);
            vstrbq_p_s8(to + run, second, active);
            vstrbq_p_s8(to + 2 * run, third, active);
        }
        return;
    }
    switch (run) {
        case 48: copy_vectors(w, from, step, n, to, 3); break; // 16 channels, 3 taps
        case 96: copy_vectors(w, from, step, n, to, 6); break;
        default:
            if (run % 16 == 0) {
                copy_vectors(w, from, step, n, to, run / 16);
                break;
            }
            for (; n > 0; n--, from += step) {
                for (uint32_t ky = 0; ky < w->kernel_h; ky++, to += run) {
                    copy_run(to, from + ky * in_row, run);
                }
            }
    }
}

// Pixels [first, first + n) of the output, their windows one behind the other.
static void gather_block(
    const window_2d_t *w, const int8_t *input, uint32_t first, uint32_t n, int8_t *out) {
    uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w * w->in_c;
    uint32_t y = first / w->out_w, x = first % w->out_w;
    bool flat = w->dilation_h == 1 && w->dilation_w == 1 && w->in_w >= w->kernel_w;
    // Columns whose windows lie inside the input's width.
    uint32_t whole_first = (w->pad_left + w->stride_w - 1u) / w->stride_w;
    uint32_t whole_end =
        flat ? (uint32_t)(w->in_w - w->kernel_w + w->pad_left) / w->stride_w + 1 : 0;
    while (n > 0) {
        int32_t top = (int32_t)(y * w->stride_h) - w->pad_top;
        uint32_t count = 1;
        if (flat && top >= 0 && top + w->kernel_h <= w->in_h && x >= whole_first && x < whole_end) {
            uint32_t end = whole_end < w->out_w ? whole_end : w->out_w;
            count = end - x < n ? end - x : n;
            uint32_t left = x * w->stride_w - w->pad_left;
            copy_windows(w, input + ((uint32_t)top * w->in_w + left) * w->in_c,
                (uint32_t)w->stride_w * w->in_c, count, out);
        } else {
            window_place_t place = window_2d_place(w, y, x);
            window_2d_gather(w, &place, input, copy_run, out);
        }
        n -= count;
        out += count * terms;
        x += count;
        if (x == w->out_w) {
            x = 0;
            y++;
        }
    }
}

// The first pixels of n with at most 16 terms each, as many as may be read 16 bytes at a time;
// returns how many.
static uint32_t run_short(
    tile_m55_t *tile, const int8_t *pixels, uint32_t n, uint32_t channels, int8_t *out) {
    uint32_t safe = n * tile->terms < 16 ? 0 : (n * tile->terms - 16) / tile->terms + 1;
    safe -= safe % 4;
    if (safe > 0) {
        int8_t weights[2][16];
        mve_pred16_t active = vctp8q(tile->terms);
        tile_m55_t own = *tile;
        for (uint32_t i = 0; i < 2; i++) {
            vstrbq_s8(weights[i], vldrbq_z_s8(tile->weights[i], active));
            own.weights[i] = weights[i];
        }
        own.pixels = pixels;
        own.pixels_end = pixels + safe * tile->terms;
        own.out = out;
        own.out_step = 2 * channels;
        tile_m55_short(&own);
    }
    return safe;
}

// Two channels of n >= 3 pixels; the last tile may do pixels again.
static void run_pixels(
    tile_m55_t *tile, const int8_t *pixels, uint32_t n, uint32_t channels, int8_t *out) {
    if (tile->terms <= 16) {
        uint32_t done = run_short(tile, pixels, n, channels, out);
        done = done > n - TILE_PIXELS ? n - TILE_PIXELS : done;
        pixels += done * tile->terms;
        out += done * channels;
        n -= done;
    }
    uint32_t whole = n - n % TILE_PIXELS;
    tile->pixels = pixels;
    tile->pixels_end = pixels + whole * tile->terms;
    tile->out = out;
    tile_m55(tile);
    if (whole < n) {
        tile->pixels = pixels + (n - TILE_PIXELS) * tile->terms;
        tile->pixels_end = pixels + n * tile->terms;
        tile->out = out + (n - TILE_PIXELS) * channels;
        tile_m55(tile);
    }
}

static void prepare_pair(const int8_t *rows, const m55_factor_t *factors, tile_m55_t *tile) {
    for (uint32_t i = 0; i < 2; i++) {
        tile->weights[i] = rows + i * tile->terms;
        tile->bias[i] = factors[i].bias;
        tile->multiplier[i] = tile->multiplier[i + 2] = factors[i].multiplier;
        tile->shift[i] = tile->shift[i + 2] = factors[i].shift;
    }
}

static bool factors_ok(
    const window_2d_t *w, const int8_t *filter, const channel_quant_t *quant, uint32_t terms) {
    m55_factor_t f;
    for (uint32_t i = 0; i < w->out_c; i++) {
        if (quant->shift[i] >= 0 && quant->multiplier[i] != 0 &&
            !m55_factor(quant, i, filter + i * terms, terms, 1, 0, 0, &f)) {
            return false;
        }
    }
    return true;
}

bool conv_2d_s8_m55(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w * w->in_c;
    uint32_t pixels = (uint32_t)w->out_h * w->out_w, c = w->out_c;
    tile_m55_t tile;
    tile.terms = terms;
    if (c < 2 || pixels < TILE_PIXELS || terms > MAX_TERMS ||
        !factors_ok(w, filter, quant, terms)) {
        return false;
    }
    tile.zero_point = w->out_zero_point;
    tile.out_step = TILE_PIXELS * c;
    for (uint32_t i = 0; i < 4; i++) {
        tile.offsets[i] = (i / 2) * c + i % 2;
        tile.last_offsets[i] = 2 * c + i % 2;
    }
    bool direct = terms == w->in_c && w->stride_h == 1 && w->stride_w == 1 && w->pad_top == 0 &&
                  w->pad_left == 0 && w->out_h == w->in_h && w->out_w == w->in_w;
    int8_t scratch[SCRATCH_BYTES];
    m55_factor_t factors[MAX_KEPT]; // of all channels where they are needed again
    bool kept = c <= MAX_KEPT;
    for (uint32_t i = 0; kept && i < c; i++) {
        m55_factor(quant, i, filter + i * terms, terms, 1, w->in_zero_point, w->out_zero_point,
            &factors[i]);
    }
    uint32_t block = direct ? pixels : SCRATCH_BYTES / terms;
    if (!direct) {
        block -= block % TILE_PIXELS;
    }
    for (uint32_t first = 0; first < pixels; first += block) {
        if (pixels - first < TILE_PIXELS) {
            first = pixels - TILE_PIXELS;
        }
        uint32_t n = pixels - first < block ? pixels - first : block;
        if (!direct) {
            gather_block(w, input, first, n, scratch);
        }
        for (uint32_t i = 0; i < c; i += 2) {
            // The last of an odd number of channels takes its neighbour along again.
            uint32_t channel = i + 1 < c ? i : c - 2;
            const int8_t *rows = filter + channel * terms;
            for (uint32_t k = 0; !kept && k < 2; k++) {
                m55_factor(quant, channel + k, rows + k * terms, terms, 1, w->in_zero_point,
                    w->out_zero_point, &factors[k]);
            }
            prepare_pair(rows, kept ? &factors[channel] : factors, &tile);
            run_pixels(&tile, direct ? input : scratch, n, c, output + first * c + channel);
        }
    }
    m55_clamp(output, pixels * c, w->act_min, w->act_max);
    return true;
}

#endif
