#include <string.h>

#include "../depthwise_conv_2d_s8.h"
#include "depthwise_conv_2d_s8_m7.h"
#include "planar_m7.h"

#if MOTEYE_M7

#define SCRATCH_WORDS 4096
#define GROUP 4
#define MAX_WORDS (PLANAR_MAX_ROWS * 6)

// The part of the kernel that ever meets input, and where it stands.
typedef struct {
    uint32_t first, taps, pad; // along one axis
} crop_t;

static crop_t crop(uint32_t kernel, uint32_t pad, uint32_t stride, uint32_t in, uint32_t out) {
    uint32_t reach = (out - 1) * stride;
    uint32_t first = pad > reach ? pad - reach : 0;
    uint32_t end = in + pad < kernel ? in + pad : kernel;
    crop_t c = {first, end > first ? end - first : 0, pad - first};
    return c;
}

typedef struct {
    const window_2d_t *w;
    const planar_m7_kernel_t *kernel;
    crop_t rows, columns;
    uint32_t stride, tiles, row_words, plane_words, band;
    uint32_t *planes;
} plan_t;

static bool make_plan(const window_2d_t *w, plan_t *p) {
    p->w = w;
    p->stride = w->stride_h;
    if (w->stride_h != w->stride_w || w->stride_h > 2 || w->dilation_h != 1 || w->dilation_w != 1) {
        return false;
    }
    p->rows = crop(w->kernel_h, w->pad_top, p->stride, w->in_h, w->out_h);
    p->columns = crop(w->kernel_w, w->pad_left, p->stride, w->in_w, w->out_w);
    if (p->rows.taps - 1u >= PLANAR_MAX_ROWS || p->columns.taps - 1u >= 7) {
        return false;
    }
    p->kernel = planar_m7_kernel(p->columns.taps, p->stride);
    p->tiles = (w->out_w + 3u) / 4;
    // Whole words that the tiles of a row read, or the row's input needs.
    uint32_t read = 2 * p->stride * (p->tiles - 1) + p->stride + 3 + (p->kernel->taps - 3) / 2;
    read += p->stride - 1;
    uint32_t filled = (p->columns.pad + w->in_w + 1u) / 2;
    p->row_words = read > filled ? read : filled;
    uint32_t rows = SCRATCH_WORDS / (GROUP * p->row_words);
    if (rows < p->rows.taps) {
        return false;
    }
    p->band = (rows - p->rows.taps) / p->stride + 1;
    p->band = p->band < w->out_h ? p->band : w->out_h;
    p->plane_words = ((p->band - 1) * p->stride + p->rows.taps) * p->row_words;
    return true;
}

static inline void store(uint8_t *to, uint32_t word) {
    __builtin_memcpy(to, &word, sizeof(word));
}

// One row of four channels to four planes; two pixels at a time.
static void spread_row(const int8_t *from, uint32_t channels, uint32_t pixels, uint32_t minus,
    uint8_t *to, uint32_t plane) {
    uint8_t *to2 = to + 2 * plane;
    for (uint32_t n = pixels / 2; n > 0; n--) {
        uint32_t a = m7_load(from), b = m7_load(from + channels);
        uint32_t a02 = m7_sxtab16(minus, a), a13 = m7_sxtab16_odd(minus, a);
        uint32_t b02 = m7_sxtab16(minus, b), b13 = m7_sxtab16_odd(minus, b);
        store(to, m7_pack_low(a02, b02));
        store(to + plane, m7_pack_low(a13, b13));
        store(to2, m7_pack_high(a02, b02));
        store(to2 + plane, m7_pack_high(a13, b13));
        from += 2 * channels;
        to += 4;
        to2 += 4;
    }
    if (pixels & 1) {
        uint32_t a = m7_load(from);
        uint32_t a02 = m7_sxtab16(minus, a), a13 = m7_sxtab16_odd(minus, a);
        *(uint16_t *)(void *)to = (uint16_t)a02;
        *(uint16_t *)(void *)(to + plane) = (uint16_t)a13;
        *(uint16_t *)(void *)to2 = (uint16_t)(a02 >> 16);
        *(uint16_t *)(void *)(to2 + plane) = (uint16_t)(a13 >> 16);
    }
}

// The same for `n` output channels from `channel` on, of whatever number and multiplier.
static void spread_row_general(const window_2d_t *w, const int8_t *from, uint32_t channel,
    uint32_t n, uint8_t *to, uint32_t plane) {
    for (uint32_t i = 0; i < n; i++, to += plane) {
        const int8_t *x = from + (channel + i) / w->depth_multiplier;
        int16_t *half = (int16_t *)(void *)to;
        for (uint32_t k = 0; k < w->in_w; k++, x += w->in_c) {
            half[k] = (int16_t)(*x - w->in_zero_point);
        }
    }
}

// The input rows of a band, from row `top` (which may lie outside) on.
static void spread_band(const plan_t *p, const int8_t *input, uint32_t channel, uint32_t n,
    int32_t top, uint32_t rows) {
    const window_2d_t *w = p->w;
    uint32_t plane = 4 * p->plane_words, in_row = (uint32_t)w->in_w * w->in_c;
    uint32_t minus = (uint16_t)-w->in_zero_point * 0x10001u;
    uint8_t *to = (uint8_t *)p->planes + 2 * p->columns.pad;
    for (uint32_t r = 0; r < rows; r++, top++, to += 4 * p->row_words) {
        if (top < 0 || top >= w->in_h) {
            if (p->band == w->out_h) {
                continue; // still zero
            }
            for (uint32_t i = 0; i < n; i++) {
                memset(to + i * plane, 0, 2u * w->in_w);
            }
        } else if (n == GROUP && w->depth_multiplier == 1) {
            spread_row(
                input + (uint32_t)top * in_row + channel, w->in_c, w->in_w, minus, to, plane);
        } else {
            spread_row_general(w, input + (uint32_t)top * in_row, channel, n, to, plane);
        }
    }
}

static inline uint32_t twice(uint32_t halves) {
    uint32_t out;
    __asm__("sadd16 %0, %1, %1" : "=r"(out) : "r"(halves));
    return out;
}

static uint32_t weight_bytes(const int8_t *filter, uint32_t n) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < n; i++) {
        word |= (uint32_t)(uint8_t)filter[i] << (8 * i);
    }
    return word;
}

// Weight words of four channels, out[channel][row][word], as planar_m7.h wants them.
static void widen_weights(const plan_t *p, const int8_t *filter, uint32_t channel, uint32_t n,
    uint32_t out[GROUP][MAX_WORDS]) {
    const window_2d_t *w = p->w;
    uint32_t at = 0, taps = p->kernel->taps;
    for (uint32_t ky = 0; ky < p->rows.taps; ky++) {
        uint32_t even[8], odd[8]; // channels 0, 2 and 1, 3 of each tap
        const int8_t *tap =
            filter + ((p->rows.first + ky) * w->kernel_w + p->columns.first) * w->out_c + channel;
        for (uint32_t kx = 0; kx <= taps; kx++, tap += w->out_c) {
            uint32_t bytes = 0;
            if (kx < p->columns.taps) {
                bytes = n == GROUP ? m7_load(tap) : weight_bytes(tap, n);
            }
            even[kx] = twice(m7_sxtab16(0, bytes));
            odd[kx] = twice(m7_sxtab16_odd(0, bytes));
        }
        // Stride 2: taps in pairs. Stride 1: pairs from 0 on, then pairs from 1 on.
        for (uint32_t first = 0; first < (p->stride == 1 ? 2u : 1u); first++) {
            uint32_t end = p->stride == 1 ? taps : taps + 1;
            for (uint32_t kx = first; kx + 1 < end; kx += 2, at++) {
                out[0][at] = m7_pack_low(even[kx], even[kx + 1]);
                out[1][at] = m7_pack_low(odd[kx], odd[kx + 1]);
                out[2][at] = m7_pack_high(even[kx], even[kx + 1]);
                out[3][at] = m7_pack_high(odd[kx], odd[kx + 1]);
            }
        }
    }
}

static void negate_words(uint32_t *words, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        words[i] = m7_negate(words[i]);
    }
}

typedef struct {
    m7_factor_t factor[GROUP];
    int32_t bias[GROUP];
    uint32_t weights[GROUP][MAX_WORDS];
} group_t;

// Weights and constants of `n` channels; false if the fast requantisation does not fit them.
static bool prepare_group(const plan_t *p, const int8_t *filter, const channel_quant_t *quant,
    uint32_t channel, uint32_t n, group_t *g) {
    const window_2d_t *w = p->w;
    uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w;
    widen_weights(p, filter, channel, n, g->weights);
    for (uint32_t i = 0; i < n; i++) {
        m7_way_t way = m7_factor(quant, channel + i, terms, w->out_zero_point, &g->factor[i]);
        if (way == M7_GENERAL) {
            return false;
        }
        g->bias[i] = 2 * quant->bias[channel + i];
        if (way == M7_NEGATED) {
            g->bias[i] = -g->bias[i];
            negate_words(g->weights[i], p->rows.taps * planar_m7_words(p->kernel));
        }
    }
    return true;
}

bool depthwise_conv_2d_s8_m7(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    plan_t p;
    if (!make_plan(w, &p)) {
        return false;
    }
    uint32_t planes[SCRATCH_WORDS];
    group_t group;
    p.planes = planes;
    memset(planes, 0, GROUP * 4 * p.plane_words);
    uint32_t row = 4 * p.row_words, tiles = 8 * p.stride * p.tiles;
    planar_m7_t a;
    a.out_stride = w->out_c;
    a.entry = planar_m7_entry(p.kernel, p.rows.taps);
    a.end = planar_m7_end(w->out_zero_point);
    a.row_stride = row;
    a.back = p.rows.taps * row - 8 * p.stride;
    a.row_advance = p.stride * row - tiles;
    a.row_end_step = p.stride * row;
    a.last = w->out_w - 4 * (p.tiles - 1);
    for (uint32_t channel = 0; channel < w->out_c; channel += GROUP) {
        uint32_t n = w->out_c - channel < GROUP ? w->out_c - channel : GROUP;
        if (!prepare_group(&p, filter, quant, channel, n, &group)) {
            depthwise_channels_s8(w, input, filter, quant, channel, channel + n, output);
            continue;
        }
        for (uint32_t y = 0; y < w->out_h; y += p.band) {
            a.rows = w->out_h - y < p.band ? w->out_h - y : p.band;
            int32_t top = (int32_t)(y * p.stride) - (int32_t)p.rows.pad;
            spread_band(&p, input, channel, n, top, (a.rows - 1) * p.stride + p.rows.taps);
            for (uint32_t i = 0; i < n; i++) {
                a.factor = group.factor[i];
                a.bias[0] = a.bias[1] = a.bias[2] = a.bias[3] = group.bias[i];
                a.weights = group.weights[i];
                a.plane = (const uint8_t *)(planes + i * p.plane_words);
                a.row_end = a.plane + tiles;
                a.out = output + (size_t)y * w->out_w * w->out_c + channel + i;
                planar_m7(&a);
            }
        }
    }
    m7_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
