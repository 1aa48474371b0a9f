#include <string.h>

#include "conv_2d_s8_x86.h"
#include "../conv_2d_s8.h"

#if MOTEYE_X86

#define MAX_TERMS 2048u
#define PATCH_HALVES 16384u
#define CHANNELS 16u
#define PIXELS 4u

// Sixteen output channels: weights in pairs of terms, channel by channel, and their constants.
typedef struct {
    _Alignas(32) int16_t weights[MAX_TERMS / 2][CHANNELS][2];
    _Alignas(32) int32_t bias[CHANNELS];
    x86_factor_t factor[2];
    __m256i fold[2];
    bool quick;
} block_t;

X86_INLINE __m256i load(const void *from) {
    return _mm256_load_si256((const __m256i *)from);
}

// Eight rows of eight pairs to eight pairs of eight rows.
X86_INLINE void transpose_pairs(__m256i r[8]) {
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

// Weights of up to eight channels, from term `first` on; zeros where there is none.
X86_AVX2 static void pack_weights(
    const int8_t *rows, uint32_t n, uint32_t terms, int16_t (*out)[CHANNELS][2], uint32_t at) {
    for (uint32_t first = 0; first < terms; first += 16) {
        uint32_t left = terms - first;
        __m256i r[8];
        for (uint32_t i = 0; i < 8; i++) {
            __m128i bytes = _mm_setzero_si128();
            if (i < n && left >= 16) {
                bytes = _mm_loadu_si128((const __m128i *)(const void *)(rows + i * terms + first));
            } else if (i < n) {
                int8_t rest[16] = {0};
                memcpy(rest, rows + i * terms + first, left);
                bytes = _mm_loadu_si128((const __m128i *)(const void *)rest);
            }
            r[i] = _mm256_cvtepi8_epi16(bytes);
        }
        transpose_pairs(r);
        for (uint32_t i = 0; i < 8 && 2 * i < left; i++) {
            _mm256_store_si256((__m256i *)(void *)out[first / 2 + i][at], r[i]);
        }
    }
}

X86_AVX2 static void prepare_block(const window_2d_t *w, const int8_t *filter,
    const channel_quant_t *quant, uint32_t channel, uint32_t n, uint32_t terms, block_t *block) {
    const int8_t *rows = filter + (size_t)channel * terms;
    pack_weights(rows, n < 8 ? n : 8, terms, block->weights, 0);
    if (n > 8) {
        pack_weights(rows + 8 * terms, n - 8, terms, block->weights, 8);
    }
    _Alignas(32) int32_t multiplier[CHANNELS], shift[CHANNELS];
    for (uint32_t i = 0; i < CHANNELS; i++) {
        block->bias[i] = i < n ? quant->bias[channel + i] : 0;
        multiplier[i] = i < n ? quant->multiplier[channel + i] : 0;
        shift[i] = i < n ? quant->shift[channel + i] : 0;
    }
    for (uint32_t v = 0; v < 2; v++) {
        block->factor[v] = x86_factor(load(multiplier + 8 * v), load(shift + 8 * v));
        block->fold[v] = x86_fold(&block->factor[v], w->out_zero_point);
    }
    block->quick = x86_quick_ok(quant->bias + channel, quant->shift + channel, n, terms);
}

// Eight sums to outputs.
X86_INLINE __m256i finish(
    const window_2d_t *w, const block_t *block, __m256i acc, uint32_t v, const bool quick) {
    if (quick) {
        return x86_requantize_quick(acc, &block->factor[v], block->fold[v]);
    }
    acc = x86_requantize(acc, &block->factor[v]);
    return _mm256_add_epi32(acc, _mm256_set1_epi32(w->out_zero_point));
}

// `count` pixels of `pairs` pairs of terms; vectors of eight channels: 1 or 2.
X86_INLINE void run_tile(const window_2d_t *w, const block_t *block, const int16_t *pixels,
    uint32_t pairs, const uint32_t count, const uint32_t vectors, const bool quick, uint32_t n,
    int8_t *output) {
    __m256i acc[PIXELS][2];
    _Pragma("GCC unroll 4") for (uint32_t p = 0; p < count; p++) {
        _Pragma("GCC unroll 2") for (uint32_t v = 0; v < vectors; v++) {
            acc[p][v] = load(block->bias + 8 * v);
        }
    }
    for (uint32_t k = 0; k < pairs; k++) {
        __m256i weights[2];
        _Pragma("GCC unroll 2") for (uint32_t v = 0; v < vectors; v++) {
            weights[v] = load(block->weights[k][8 * v]);
        }
        _Pragma("GCC unroll 4") for (uint32_t p = 0; p < count; p++) {
            int32_t pair;
            memcpy(&pair, pixels + 2 * ((size_t)p * pairs + k), sizeof(pair));
            __m256i x = _mm256_set1_epi32(pair);
            _Pragma("GCC unroll 2") for (uint32_t v = 0; v < vectors; v++) {
                acc[p][v] = _mm256_add_epi32(acc[p][v], _mm256_madd_epi16(x, weights[v]));
            }
        }
    }
    _Pragma("GCC unroll 4") for (uint32_t p = 0; p < count; p++, output += w->out_c) {
        __m256i low = finish(w, block, acc[p][0], 0, quick);
        __m256i high = low;
        if (vectors == 2) {
            high = finish(w, block, acc[p][1], 1, quick);
        }
        __m256i halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
        __m128i bytes = x86_narrow(halves, w->act_min, w->act_max);
        if (n == CHANNELS) {
            _mm_storeu_si128((__m128i *)(void *)output, bytes);
        } else if (n == 8) {
            _mm_storel_epi64((__m128i *)(void *)output, bytes);
        } else {
            int8_t all[CHANNELS];
            _mm_storeu_si128((__m128i *)(void *)all, bytes);
            memcpy(output, all, n);
        }
    }
}

// All pixels, in one of the ways that are compiled.
X86_INLINE void run_pixels(const window_2d_t *w, const block_t *block, const int16_t *pixels,
    uint32_t pairs, uint32_t count, const uint32_t vectors, const bool quick, uint32_t n,
    int8_t *output) {
    for (; count >= PIXELS; count -= PIXELS) {
        run_tile(w, block, pixels, pairs, PIXELS, vectors, quick, n, output);
        pixels += 2 * PIXELS * (size_t)pairs;
        output += PIXELS * (size_t)w->out_c;
    }
    for (; count > 0; count--, pixels += 2 * (size_t)pairs, output += w->out_c) {
        run_tile(w, block, pixels, pairs, 1, vectors, quick, n, output);
    }
}

X86_AVX2 static void run_block(const window_2d_t *w, const block_t *block, const int16_t *pixels,
    uint32_t pairs, uint32_t count, uint32_t n, int8_t *output) {
    if (!block->quick) {
        run_pixels(w, block, pixels, pairs, count, 2, false, n, output);
    } else if (n > 8) {
        run_pixels(w, block, pixels, pairs, count, 2, true, n, output);
    } else {
        run_pixels(w, block, pixels, pairs, count, 1, true, n, output);
    }
}

X86_AVX2 static void widen_run(const int8_t *from, size_t n, int32_t zero_point, int16_t *out) {
    const __m256i offset = _mm256_set1_epi16((int16_t)zero_point);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        __m256i halves = _mm256_sub_epi16(_mm256_cvtepi8_epi16(bytes), offset);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), halves);
    }
    for (; i < n; i++) {
        out[i] = (int16_t)(from[i] - zero_point);
    }
}

// A window inside the input; false where 16 bytes at a time would read too far.
X86_AVX2 static bool widen_whole(
    const window_2d_t *w, const int8_t *from, const int8_t *safe, int16_t *out) {
    const __m256i offset = _mm256_set1_epi16(w->in_zero_point);
    uint32_t run = (uint32_t)w->kernel_w * w->in_c, row = (uint32_t)w->in_w * w->in_c;
    if (from + (size_t)(w->kernel_h - 1) * row + (run - 1) / 16 * 16 > safe) {
        return false;
    }
    // What a row writes too much, the next one writes again.
    for (uint32_t ky = w->kernel_h; ky > 0; ky--, from += row, out += run) {
        for (uint32_t i = 0; i < run; i += 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
            __m256i halves = _mm256_sub_epi16(_mm256_cvtepi8_epi16(bytes), offset);
            _mm256_storeu_si256((__m256i *)(void *)(out + i), halves);
        }
    }
    return true;
}

// Windows [first, first + count), widened; an odd number of terms gets a zero behind it.
static void widen_windows(const window_2d_t *w, const int8_t *input, uint32_t terms, bool direct,
    uint32_t first, uint32_t count, int16_t *out) {
    if (direct) {
        widen_run(input + (size_t)first * terms, (size_t)count * terms, w->in_zero_point, out);
        return;
    }
    uint32_t pairs = (terms + 1) / 2, y = first / w->out_w, x = first % w->out_w;
    bool dense = w->dilation_h == 1 && w->dilation_w == 1;
    tap_range_t rows = window_2d_whole_rows(w), columns = window_2d_whole_columns(w);
    // 16 bytes are read at a time: not so near the input's end.
    const int8_t *safe = input + window_2d_input_bytes(w) - 16;
    for (uint32_t i = 0; i < count; i++, out += 2 * pairs) {
        size_t top = (size_t)y * w->stride_h - w->pad_top;
        size_t left = (size_t)x * w->stride_w - w->pad_left;
        bool whole = dense && y >= rows.first && y < rows.end && x >= columns.first &&
                     x < columns.end && window_2d_input_bytes(w) >= 16;
        if (!whole || !widen_whole(w, input + (top * w->in_w + left) * w->in_c, safe, out)) {
            window_place_t place = window_2d_place(w, y, x);
            conv_2d_gather(w, &place, input, out);
        }
        if (++x == w->out_w) {
            x = 0;
            y++;
        }
        if (terms % 2 != 0) {
            out[terms] = 0;
        }
    }
}

bool conv_2d_s8_x86(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w * w->in_c, pairs = (terms + 1) / 2;
    if (!x86_has_avx2() || terms > MAX_TERMS || w->filter_zero_point != 0) {
        return false;
    }
    _Alignas(32) int16_t pixels[PATCH_HALVES + CHANNELS];
    block_t block;
    bool direct = terms == w->in_c && terms % 2 == 0 && w->stride_h == 1 && w->stride_w == 1 &&
                  w->pad_top == 0 && w->pad_left == 0 && w->out_h == w->in_h && w->out_w == w->in_w;
    uint32_t total = (uint32_t)w->out_h * w->out_w, most = PATCH_HALVES / (2 * pairs);
    for (uint32_t first = 0; first < total; first += most) {
        uint32_t count = total - first < most ? total - first : most;
        widen_windows(w, input, terms, direct, first, count, pixels);
        for (uint32_t channel = 0; channel < w->out_c; channel += CHANNELS) {
            uint32_t n = w->out_c - channel < CHANNELS ? w->out_c - channel : CHANNELS;
            prepare_block(w, filter, quant, channel, n, terms, &block);
            run_block(
                w, &block, pixels, pairs, count, n, output + (size_t)first * w->out_c + channel);
        }
    }
    return true;
}

#endif
