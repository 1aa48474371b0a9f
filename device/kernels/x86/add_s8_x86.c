#include "add_s8_x86.h"

#if MOTEYE_X86

X86_INLINE __m256i scaled(const int8_t *from, __m256i zero_point, int left, const x86_factor_t *f) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    __m256i x = _mm256_sub_epi32(_mm256_cvtepi8_epi32(bytes), zero_point);
    x = x86_doubling_high_multiply(_mm256_slli_epi32(x, left), f);
    return x86_rounding_shift_right(x, f);
}

X86_INLINE x86_factor_t one_factor(int32_t multiplier, int32_t shift) {
    return x86_factor(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(shift));
}

X86_AVX2 static size_t run(const add_t *s, const int8_t *a, const int8_t *b, int8_t *output) {
    const x86_factor_t a_factor = one_factor(s->a_multiplier, s->a_shift);
    const x86_factor_t b_factor = one_factor(s->b_multiplier, s->b_shift);
    const x86_factor_t out_factor = one_factor(s->out_multiplier, s->out_shift);
    const __m256i a_zero = _mm256_set1_epi32(s->a_zero_point);
    const __m256i b_zero = _mm256_set1_epi32(s->b_zero_point);
    const __m256i out_zero = _mm256_set1_epi32(s->out_zero_point);
    const int left = s->left_shift;
    const int32_t act_min = s->act_min, act_max = s->act_max;
    size_t n = s->count & ~(size_t)7;
    for (size_t i = 0; i < n; i += 8) {
        __m256i sum = _mm256_add_epi32(
            scaled(a + i, a_zero, left, &a_factor), scaled(b + i, b_zero, left, &b_factor));
        sum = x86_doubling_high_multiply(sum, &out_factor);
        sum = _mm256_add_epi32(x86_rounding_shift_right(sum, &out_factor), out_zero);
        __m256i halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(sum, sum), 0xD8);
        _mm_storel_epi64((__m128i *)(void *)(output + i), x86_narrow(halves, act_min, act_max));
    }
    return n;
}

size_t add_s8_x86(const add_t *s, const int8_t *a, const int8_t *b, int8_t *output) {
    return x86_has_avx2() ? run(s, a, b, output) : 0;
}

#endif
