/* target_x86: whether this build has the kernels for x86-64 with AVX2, and what they share. They are
 * chosen at run time, so the same binary runs without AVX2. Private to the runtime. */
#ifndef MOTEYE_TARGET_X86_H
#define MOTEYE_TARGET_X86_H

#ifndef MOTEYE_X86
#if defined(__x86_64__) && defined(__GNUC__)
#define MOTEYE_X86 1
#else
#define MOTEYE_X86 0
#endif
#endif

#if MOTEYE_X86

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "../requantize.h"

#define X86_AVX2 __attribute__((target("avx2")))
#define X86_INLINE X86_AVX2 static inline __attribute__((always_inline))

static inline bool x86_has_avx2(void) {
    return __builtin_cpu_supports("avx2") != 0;
}

// The factors of eight channels; `left` and `right` are the two directions of a shift.
typedef struct {
    __m256i multiplier, odd;         // odd: the multipliers of channels 1, 3, 5, 7 in front of them
    __m256i left, right, mask, half; // mask: the bits that right drops; half: mask / 2
} x86_factor_t;

X86_INLINE x86_factor_t x86_factor(__m256i multiplier, __m256i shift) {
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
    x86_factor_t f;
    f.multiplier = multiplier;
    f.odd = _mm256_srli_epi64(multiplier, 32);
    f.left = _mm256_max_epi32(shift, zero);
    f.right = _mm256_sub_epi32(zero, _mm256_min_epi32(shift, zero));
    f.mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, f.right), one);
    f.half = _mm256_srli_epi32(f.mask, 1);
    return f;
}

// doubling_high_multiply of eight.
X86_INLINE __m256i x86_doubling_high_multiply(__m256i x, const x86_factor_t *f) {
    const __m256i round = _mm256_set1_epi64x(1 << 30);
    __m256i even = _mm256_mul_epi32(x, f->multiplier);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(x, 32), f->odd);
    even = _mm256_srli_epi64(_mm256_add_epi64(even, round), 31);
    odd = _mm256_slli_epi64(_mm256_add_epi64(odd, round), 1);
    return _mm256_blend_epi32(even, odd, 0xAA);
}

// rounding_shift_right of eight, half away from zero.
X86_INLINE __m256i x86_rounding_shift_right(__m256i x, const x86_factor_t *f) {
    __m256i threshold = _mm256_sub_epi32(f->half, _mm256_srai_epi32(x, 31));
    __m256i up = _mm256_cmpgt_epi32(_mm256_and_si256(x, f->mask), threshold);
    return _mm256_sub_epi32(_mm256_srav_epi32(x, f->right), up);
}

// requantize of eight.
X86_INLINE __m256i x86_requantize(__m256i x, const x86_factor_t *f) {
    x = x86_doubling_high_multiply(_mm256_sllv_epi32(x, f->left), f);
    return x86_rounding_shift_right(x, f);
}

/* x86_quick_ok: whether x86_requantize_quick is exact for `n` channels: every shift to the right, and
 * no sum of `terms` products and a bias of 2^30 and more. */
static inline bool x86_quick_ok(
    const int32_t *bias, const int8_t *shift, uint32_t n, uint32_t terms) {
    int32_t most = (1 << 29) - (int32_t)(terms * 255 * 128);
    for (uint32_t i = 0; i < n; i++) {
        if (shift[i] >= 0 || shift[i] < -20 || bias[i] > most || bias[i] < -most) {
            return false;
        }
    }
    return true;
}

// Halves of what `right` drops, and the output's zero point before that.
X86_INLINE __m256i x86_fold(const x86_factor_t *f, int32_t zero_point) {
    __m256i half = _mm256_add_epi32(f->half, _mm256_set1_epi32(1));
    return _mm256_add_epi32(half, _mm256_sllv_epi32(_mm256_set1_epi32(zero_point), f->right));
}

// requantize of eight and the zero point: x plus its sign plus a half, shifted.
X86_INLINE __m256i x86_requantize_quick(__m256i x, const x86_factor_t *f, __m256i fold) {
    x = x86_doubling_high_multiply(x, f);
    x = _mm256_add_epi32(_mm256_add_epi32(x, _mm256_srai_epi32(x, 31)), fold);
    return _mm256_srav_epi32(x, f->right);
}

// Sixteen halves to int8 within limits.
X86_INLINE __m128i x86_narrow(__m256i halves, int32_t act_min, int32_t act_max) {
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(halves, halves), 0x08);
    __m128i low = _mm256_castsi256_si128(bytes);
    low = _mm_max_epi8(low, _mm_set1_epi8((char)act_min));
    return _mm_min_epi8(low, _mm_set1_epi8((char)act_max));
}

#endif
#endif
