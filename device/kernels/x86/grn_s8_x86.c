#include "grn_s8_x86.h"

#if MOTEYE_X86

X86_INLINE __m128i sixteen(const int8_t *from) {
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

X86_AVX2 static uint32_t square_sums(const grn_t *s, const int8_t *input, uint32_t *sums) {
    const uint32_t whole = s->channels / 16u * 16u;
    const __m256i zero_point = _mm256_set1_epi16(s->in_zero_point);
    for (uint32_t c = 0; c < whole; c += 16) {
        const int8_t *at = input + c;
        __m256i low = _mm256_setzero_si256(), high = low;
        for (uint32_t left = s->pixels; left > 0; left--, at += s->channels) {
            __m256i x = _mm256_sub_epi16(_mm256_cvtepi8_epi16(sixteen(at)), zero_point);
            x = _mm256_mullo_epi16(x, x); // at most 255^2 < 2^16
            low = _mm256_add_epi32(low, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)));
            high = _mm256_add_epi32(high, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1)));
        }
        _mm256_storeu_si256((__m256i *)(void *)(sums + c), low);
        _mm256_storeu_si256((__m256i *)(void *)(sums + c + 8), high);
    }
    return whole;
}

// Eight channels: both zero points, the bias and the half of the rounding in one; with a product below 2^31.
typedef struct {
    __m256i factor, add;
} eight_t;

X86_INLINE eight_t eight_of(const grn_t *s, const int32_t *factors, const int32_t *bias) {
    const __m256i factor = _mm256_loadu_si256((const __m256i *)(const void *)factors);
    const __m256i own = _mm256_loadu_si256((const __m256i *)(const void *)bias);
    __m256i add = _mm256_set1_epi32((1 << 15) + s->out_zero_point * (1 << 16));
    add = _mm256_add_epi32(add, own);
    __m256i taken = _mm256_mullo_epi32(factor, _mm256_set1_epi32(s->in_zero_point));
    return (eight_t){factor, _mm256_sub_epi32(add, taken)};
}

X86_INLINE __m256i applied(__m128i bytes, const eight_t *of) {
    __m256i x = _mm256_mullo_epi32(_mm256_cvtepi8_epi32(bytes), of->factor);
    return _mm256_srai_epi32(_mm256_add_epi32(x, of->add), 16);
}

X86_AVX2 static uint32_t apply(const grn_t *s, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output) {
    const uint32_t channels = s->channels, whole = channels / 16u * 16u;
    for (uint32_t c = 0; c < whole; c += 16) {
        const eight_t low = eight_of(s, factors + c, bias + c);
        const eight_t high = eight_of(s, factors + c + 8, bias + c + 8);
        const int8_t *from = input + c;
        int8_t *to = output + c;
        for (uint32_t left = s->pixels; left > 0; left--, from += channels, to += channels) {
            const __m128i x = sixteen(from);
            __m256i y =
                _mm256_packs_epi32(applied(x, &low), applied(_mm_unpackhi_epi64(x, x), &high));
            y = _mm256_permute4x64_epi64(y, 0xD8);
            _mm_storeu_si128((__m128i *)(void *)to, x86_narrow(y, -128, 127));
        }
    }
    return whole;
}

uint32_t grn_square_sums_x86(const grn_t *s, const int8_t *input, uint32_t *sums) {
    return x86_has_avx2() ? square_sums(s, input, sums) : 0;
}

uint32_t grn_apply_x86(const grn_t *s, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output) {
    return x86_has_avx2() ? apply(s, input, factors, bias, output) : 0;
}

#endif
