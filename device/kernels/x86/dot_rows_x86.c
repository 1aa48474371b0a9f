#include "dot_rows_x86.h"

#if MOTEYE_X86

#define MAX_TERMS 4096u

X86_INLINE __m256i widened(const int8_t *from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

X86_INLINE int32_t sum_of(__m256i lanes) {
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1)));
}

X86_AVX2 static void dot_all(
    const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc) {
    _Alignas(32) __m256i wide[MAX_TERMS / 16];
    const uint32_t whole = n / 16 * 16;
    for (uint32_t i = 0; i < whole; i += 16) {
        wide[i / 16] = widened(x + i);
    }
    for (uint32_t row = 0; row < count; row++, rows += n) {
        __m256i lanes = _mm256_setzero_si256();
        for (uint32_t i = 0; i < whole; i += 16) {
            lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(wide[i / 16], widened(rows + i)));
        }
        acc[row] = sum_of(lanes);
        for (uint32_t i = whole; i < n; i++) {
            acc[row] += x[i] * rows[i];
        }
    }
}

bool dot_rows_x86(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc) {
    if (n > MAX_TERMS || !x86_has_avx2()) {
        return false;
    }
    dot_all(x, rows, n, count, acc);
    return true;
}

#endif
