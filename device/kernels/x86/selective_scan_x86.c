#include "selective_scan_x86.h"

#if MOTEYE_X86

X86_INLINE __m128i load(const void *from) {
    return _mm_loadu_si128((const __m128i *)from);
}

// 2^-(dt decay) in Q15 of eight. A gather of four bytes reads two beyond an entry; log2 lies behind exp2.
X86_INLINE __m256i kept_of(const uint16_t *exp2, __m256i dt, const uint16_t *decay) {
    __m256i exponent = _mm256_mullo_epi32(dt, _mm256_cvtepu16_epi32(load(decay)));
    exponent = _mm256_srli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(2048)), 12);
    __m256i fraction = _mm256_and_si256(exponent, _mm256_set1_epi32(255));
    __m256i part = _mm256_i32gather_epi32((const int *)(const void *)exp2, fraction, 2);
    part = _mm256_and_si256(part, _mm256_set1_epi32(0xFFFF));
    return _mm256_srlv_epi32(part, _mm256_srli_epi32(exponent, 8));
}

X86_AVX2 static uint32_t scan(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state, int64_t *acc) {
    const uint32_t whole = pack->header.states / 8u * 8u;
    const int32_t down = 20 - pack->header.state_bits;
    const __m256i steps = _mm256_set1_epi32((int32_t)dt),
                  halves = _mm256_set1_epi32(1 << (down - 1));
    const __m256i all = _mm256_set1_epi32(entered);
    __m256i sums = _mm256_setzero_si256();
    for (uint32_t n = 0; n < whole; n += 8) {
        __m256i old = _mm256_cvtepi16_epi32(load(state + n));
        __m256i held = _mm256_mullo_epi32(kept_of(pack->exp2, steps, decay + n), old);
        held = _mm256_srai_epi32(_mm256_add_epi32(held, _mm256_set1_epi32(1 << 14)), 15);
        __m256i new = _mm256_mullo_epi32(all, _mm256_cvtepi16_epi32(load(b + n)));
        new = _mm256_srai_epi32(_mm256_add_epi32(new, halves), down);
        __m256i next = _mm256_add_epi32(held, new);
        next = _mm256_permute4x64_epi64(_mm256_packs_epi32(next, next), 0xD8);
        _mm_storeu_si128((__m128i *)(void *)(state + n), _mm256_castsi256_si128(next));
        next = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(next));
        __m256i said = _mm256_mullo_epi32(next, _mm256_cvtepi16_epi32(load(c + n)));
        sums = _mm256_add_epi64(sums, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(said)));
        sums = _mm256_add_epi64(sums, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(said, 1)));
    }
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    *acc += _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
    return whole;
}

uint32_t scan_states_x86(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state, int64_t *acc) {
    return x86_has_avx2() ? scan(pack, decay, dt, entered, b, c, state, acc) : 0;
}

#endif
