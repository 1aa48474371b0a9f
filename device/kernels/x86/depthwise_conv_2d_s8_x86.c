#include <string.h>

#include "depthwise_conv_2d_s8_x86.h"

#if MOTEYE_X86

#define MAX_TAPS 64u
#define CHANNELS 16u
#define MAX_CHANNELS 256u

// Sixteen channels. Vectors come in pairs: channels 0-3 and 8-11, then 4-7 and 12-15, as unpacking
// leaves them and packing wants them.
typedef struct {
    __m256i weights[MAX_TAPS / 2][2];
    __m256i bias[2];
    x86_factor_t factor[2];
    __m256i fold[2];
    bool quick;
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

// Of the block that begins with channel `c`: the last one may do channels again.
static inline uint32_t block_start(uint32_t c, uint32_t channels) {
    return c + CHANNELS <= channels ? c : channels - CHANNELS;
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
        block->fold[v] = x86_fold(&block->factor[v], w->out_zero_point);
    }
    block->quick = x86_quick_ok(quant->bias + channel, quant->shift + channel, CHANNELS, taps);
}

typedef struct {
    __m256i in, out; // zero points
} zero_t;

// Sixteen channels of one output; taps[t] + channel is where its inputs stand.
X86_INLINE void run_pixel(const window_2d_t *w, const block_t *block, const int8_t *const *taps,
    size_t channel, const uint32_t pairs, zero_t zero, int8_t *output) {
    __m256i low = block->bias[0], high = block->bias[1];
    _Pragma("GCC unroll 5") for (uint32_t t = 0; t < pairs; t++) {
        __m256i first = _mm256_sub_epi16(halves_at(taps[2 * t] + channel), zero.in);
        __m256i second = _mm256_sub_epi16(halves_at(taps[2 * t + 1] + channel), zero.in);
        __m256i even = _mm256_unpacklo_epi16(first, second);
        __m256i odd = _mm256_unpackhi_epi16(first, second);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(even, block->weights[t][0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(odd, block->weights[t][1]));
    }
    if (block->quick) {
        low = x86_requantize_quick(low, &block->factor[0], block->fold[0]);
        high = x86_requantize_quick(high, &block->factor[1], block->fold[1]);
    } else {
        low = _mm256_add_epi32(x86_requantize(low, &block->factor[0]), zero.out);
        high = _mm256_add_epi32(x86_requantize(high, &block->factor[1]), zero.out);
    }
    __m128i bytes = x86_narrow(_mm256_packs_epi32(low, high), w->act_min, w->act_max);
    _mm_storeu_si128((__m128i *)(void *)output, bytes);
}

// All blocks of one output.
X86_AVX2 static void run_blocks(const window_2d_t *w, const block_t *blocks, uint32_t channels,
    const int8_t *const *taps, uint32_t pairs, int8_t *output) {
    zero_t zero = {_mm256_set1_epi16(w->in_zero_point), _mm256_set1_epi32(w->out_zero_point)};
    for (uint32_t c = 0; c < channels; c += CHANNELS, blocks++) {
        uint32_t at = block_start(c, channels);
        if (pairs == 5) { // 3x3
            run_pixel(w, blocks, taps, at, 5, zero, output + at);
        } else {
            run_pixel(w, blocks, taps, at, pairs, zero, output + at);
        }
    }
}

// Where the taps of an output stand whose window leaves the input: outside at `border`.
static void find_edge(const window_2d_t *w, const int8_t *input, const int8_t *border, uint32_t y,
    uint32_t x, const int8_t **taps) {
    window_place_t place = window_2d_place(w, y, x);
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
        bool inside = ky >= place.rows.first && ky < place.rows.end;
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            bool here = inside && kx >= place.columns.first && kx < place.columns.end;
            *taps++ = here ? window_2d_tap(w, &place, input, ky, kx) : border;
        }
    }
}

// Up to MAX_CHANNELS channels of the whole image.
static void run_image(const window_2d_t *w, const block_t *blocks, uint32_t channels,
    const int8_t *input, int8_t *output) {
    int8_t border[MAX_CHANNELS];
    memset(border, w->in_zero_point, sizeof(border));
    const int8_t *taps[MAX_TAPS];
    uint32_t count = (uint32_t)w->kernel_h * w->kernel_w;
    taps[count] = border; // the partner of an odd tap: its weights are 0
    bool dense = w->dilation_h == 1 && w->dilation_w == 1;
    tap_range_t rows = window_2d_whole_rows(w), columns = window_2d_whole_columns(w);
    for (uint32_t y = 0; y < w->out_h; y++) {
        bool whole = dense && y >= rows.first && y < rows.end;
        const ptrdiff_t step = (ptrdiff_t)w->stride_w * w->in_c;
        for (uint32_t x = 0; x < w->out_w; x++, output += w->out_c) {
            if (!whole || x < columns.first || x >= columns.end) {
                find_edge(w, input, border, y, x, taps);
            } else if (x == columns.first) {
                find_edge(w, input, border, y, x, taps); // no edge: the first of many alike
            } else {
                for (uint32_t t = 0; t < count; t++) {
                    taps[t] += step;
                }
            }
            run_blocks(w, blocks, channels, taps, (count + 1) / 2, output);
        }
    }
}

bool depthwise_conv_2d_s8_x86(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w;
    if (!x86_has_avx2() || w->depth_multiplier != 1 || w->out_c < CHANNELS || taps >= MAX_TAPS ||
        w->filter_zero_point != 0) {
        return false;
    }
    block_t blocks[MAX_CHANNELS / CHANNELS];
    for (uint32_t first = 0; first < w->out_c; first += MAX_CHANNELS) {
        // The last channels may be done again.
        uint32_t left = w->out_c - first, n = left < MAX_CHANNELS ? left : MAX_CHANNELS;
        uint32_t start = n < CHANNELS ? w->out_c - CHANNELS : first;
        n = n < CHANNELS ? CHANNELS : n;
        for (uint32_t c = 0; c < n; c += CHANNELS) {
            prepare_block(w, filter, quant, start + block_start(c, n), taps, &blocks[c / CHANNELS]);
        }
        run_image(w, blocks, n, input + start, output + start);
    }
    return true;
}

#endif
