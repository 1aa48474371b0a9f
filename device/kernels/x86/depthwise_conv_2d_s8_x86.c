#include <string.h>

#include "depthwise_conv_2d_s8_x86.h"

#if MOTEYE_X86

#define MAX_TAPS 64u
#define MAX_CHANNELS 4096u
#define CHANNELS 16u

// Sixteen channels. Vectors come in pairs: channels 0-3 and 8-11, then 4-7 and 12-15, as unpacking
// leaves them and packing wants them.
typedef struct {
    __m256i weights[MAX_TAPS / 2][2];
    __m256i bias[2];
    x86_factor_t factor[2];
} block_t;

X86_INLINE __m256i halves_at(const int8_t *from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

// Words of channels 0-3 and 8-11 from four before or behind.
X86_INLINE __m256i words_at(const int32_t *from) {
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(from + 8));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

X86_AVX2 static void prepare_block(const window_2d_t *w, const int8_t *filter,
    const channel_quant_t *quant, uint32_t channel, uint32_t taps, block_t *block) {
    const __m256i zero = _mm256_setzero_si256();
    for (uint32_t t = 0; t < taps; t += 2) {
        const int8_t *tap = filter + (size_t)t * w->out_c + channel;
        __m256i first = halves_at(tap), second = t + 1 < taps ? halves_at(tap + w->out_c) : zero;
        block->weights[t / 2][0] = _mm256_unpacklo_epi16(first, second);
        block->weights[t / 2][1] = _mm256_unpackhi_epi16(first, second);
    }
    int32_t shift[CHANNELS];
    for (uint32_t i = 0; i < CHANNELS; i++) {
        shift[i] = quant->shift[channel + i];
    }
    for (uint32_t v = 0; v < 2; v++) {
        block->bias[v] = words_at(quant->bias + channel + 4 * v);
        block->factor[v] =
            x86_factor(words_at(quant->multiplier + channel + 4 * v), words_at(shift + 4 * v));
    }
}

// The sixteen channels of one output; taps[] are where its inputs stand.
X86_INLINE void run_pixel(const window_2d_t *w, const block_t *block, const int8_t *const *taps,
    uint32_t channel, const uint32_t pairs, __m256i offset, __m256i zero_point, int8_t *output) {
    __m256i low = block->bias[0], high = block->bias[1];
    for (uint32_t t = 0; t < pairs; t++) {
        __m256i first = _mm256_sub_epi16(halves_at(taps[2 * t] + channel), offset);
        __m256i second = _mm256_sub_epi16(halves_at(taps[2 * t + 1] + channel), offset);
        __m256i even = _mm256_unpacklo_epi16(first, second);
        __m256i odd = _mm256_unpackhi_epi16(first, second);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(even, block->weights[t][0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(odd, block->weights[t][1]));
    }
    low = _mm256_add_epi32(x86_requantize(low, &block->factor[0]), zero_point);
    high = _mm256_add_epi32(x86_requantize(high, &block->factor[1]), zero_point);
    __m128i bytes = x86_narrow(_mm256_packs_epi32(low, high), w->act_min, w->act_max);
    _mm_storeu_si128((__m128i *)(void *)output, bytes);
}

X86_AVX2 static void run_row(const window_2d_t *w, const block_t *block, const int8_t *const *taps,
    uint32_t per_pixel, uint32_t channel, int8_t *output) {
    const __m256i offset = _mm256_set1_epi16(w->in_zero_point);
    const __m256i zero_point = _mm256_set1_epi32(w->out_zero_point);
    uint32_t pairs = per_pixel / 2;
    for (uint32_t x = w->out_w; x > 0; x--, taps += per_pixel, output += w->out_c) {
        if (pairs == 5) {
            run_pixel(w, block, taps, channel, 5, offset, zero_point, output + channel);
        } else {
            run_pixel(w, block, taps, channel, pairs, offset, zero_point, output + channel);
        }
    }
}

// Where the taps of the outputs of row y stand; those outside, and one more of an odd number, at
// `border`, which holds the zero point.
static void find_taps(const window_2d_t *w, const int8_t *input, const int8_t *border, uint32_t y,
    uint32_t x_first, uint32_t x_count, const int8_t **taps) {
    for (uint32_t x = x_first; x < x_first + x_count; x++) {
        window_place_t place = window_2d_place(w, y, x);
        for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
            bool inside = ky >= place.rows.first && ky < place.rows.end;
            for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
                bool here = inside && kx >= place.columns.first && kx < place.columns.end;
                *taps++ = here ? window_2d_tap(w, &place, input, ky, kx) : border;
            }
        }
        if (w->kernel_h * w->kernel_w % 2 != 0) {
            *taps++ = border;
        }
    }
}

#define MAX_POINTERS 2048u

bool depthwise_conv_2d_s8_x86(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w, per_pixel = taps + taps % 2;
    if (!x86_has_avx2() || w->depth_multiplier != 1 || w->out_c < CHANNELS ||
        w->out_c > MAX_CHANNELS || taps > MAX_TAPS || w->filter_zero_point != 0) {
        return false;
    }
    int8_t border[MAX_CHANNELS];
    const int8_t *pointers[MAX_POINTERS];
    memset(border, w->in_zero_point, w->out_c);
    block_t block;
    window_2d_t part = *w; // as many columns as there are pointers for
    uint32_t most = MAX_POINTERS / per_pixel, rows = most / w->out_w;
    rows = rows == 0 ? 1 : rows;
    for (uint32_t y = 0; y < w->out_h; y += rows) {
        uint32_t n = w->out_h - y < rows ? w->out_h - y : rows;
        for (uint32_t x = 0; x < w->out_w; x += most) {
            part.out_w = (uint16_t)(w->out_w - x < most ? w->out_w - x : most);
            for (uint32_t r = 0; r < n; r++) {
                find_taps(w, input, border, y + r, x, part.out_w,
                    pointers + (size_t)r * part.out_w * per_pixel);
            }
            for (uint32_t channel = 0; channel < w->out_c; channel += CHANNELS) {
                // The last block may do channels again.
                uint32_t at = channel + CHANNELS <= w->out_c ? channel : w->out_c - CHANNELS;
                prepare_block(w, filter, quant, at, taps, &block);
                for (uint32_t r = 0; r < n; r++) {
                    run_row(&part, &block, pointers + (size_t)r * part.out_w * per_pixel, per_pixel,
                        at, output + ((size_t)(y + r) * w->out_w + x) * w->out_c);
                }
            }
        }
    }
    return true;
}

#endif
