#include <string.h>

#include "stem_m7.h"

#if MOTEYE_M7

#define CHANNELS 3
#define MOST_ROW_WORDS 640

static bool is_stem(const window_2d_t *w) {
    return w->in_c == CHANNELS && w->kernel_h == STEM_M7_SIDE && w->kernel_w == STEM_M7_SIDE &&
           w->stride_h == 2 && w->stride_w == 2 && w->dilation_h == 1 && w->dilation_w == 1;
}

uint32_t stem_m7_lay_out(const window_2d_t *w, uint32_t *scratch, stem_m7_t *stem) {
    uint32_t read = (w->out_w - 1u) * 3 + 5;
    uint32_t filled = ((w->pad_left + w->in_w) * (uint32_t)CHANNELS + 2) / 2;
    uint32_t row_words = read > filled ? read : filled;
    stem->w = w;
    stem->used = is_stem(w) && row_words <= MOST_ROW_WORDS;
    if (!stem->used) {
        return 0;
    }
    // What no pixel is put into stays zero: the padding.
    memset(scratch, 0, STEM_M7_SIDE * row_words * sizeof(*scratch));
    for (uint32_t ky = 0; ky < STEM_M7_SIDE; ky++) {
        stem->rows[ky] = scratch + ky * row_words;
    }
    return STEM_M7_SIDE * row_words;
}

// One input row, which may lie outside.
static void widen_row(const window_2d_t *w, const int8_t *input, int32_t y, uint16_t *to) {
    uint32_t bytes = w->in_w * (uint32_t)CHANNELS;
    if (y < 0 || y >= w->in_h) {
        memset(to, 0, 2 * bytes);
        return;
    }
    const int8_t *from = input + (uint32_t)y * bytes;
    const uint32_t minus = m7_twice_minus(w->in_zero_point);
    for (; bytes >= 4; bytes -= 4, from += 4, to += 4) {
        uint32_t four = m7_load(from);
        uint32_t even = m7_sxtab16(m7_sxtab16(minus, four), four);
        uint32_t odd = m7_sxtab16_odd(m7_sxtab16_odd(minus, four), four);
        uint32_t low = m7_pack_low(even, odd), high = m7_pack_high(even, odd);
        __builtin_memcpy(to, &low, sizeof(low));
        __builtin_memcpy(to + 2, &high, sizeof(high));
    }
    for (; bytes > 0; bytes--) {
        *to++ = (uint16_t)(2 * (*from++ - w->in_zero_point));
    }
}

void stem_m7_row(stem_m7_t *stem, const int8_t *input, uint32_t y) {
    const window_2d_t *w = stem->w;
    // The last row under an output row's windows is the first under the next one's.
    uint32_t *last = stem->rows[2];
    stem->rows[2] = stem->rows[0];
    stem->rows[0] = last;
    for (uint32_t ky = y == 0 ? 0 : 1; ky < STEM_M7_SIDE; ky++) {
        uint16_t *row = (uint16_t *)(void *)stem->rows[ky] + w->pad_left * CHANNELS + ky % 2;
        widen_row(w, input, (int32_t)(2 * y + ky) - w->pad_top, row);
    }
}

void stem_m7_weights(uint32_t steps, uint32_t *weights) {
    for (; steps > 0; steps--, weights += 4) {
        for (uint32_t i = 0; i < 4; i += 2) {
            uint32_t even = weights[i], odd = weights[i + 1];
            weights[i] = m7_pack_low(even, odd);
            weights[i + 1] = m7_pack_high(even, odd);
        }
    }
}

#endif
