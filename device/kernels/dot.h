/* dot: integer dot products, written so that a compiler turns them into widening multiply-add
 * instructions. */
#ifndef MOTEYE_DOT_H
#define MOTEYE_DOT_H

#include <stddef.h>
#include <stdint.h>

#include "m55/dot_m55.h"
#include "m7/dot_m7.h"

// int8 to int16 with the zero point taken off: -255..255.
static inline void widen(
    const int8_t *restrict x, size_t n, int32_t zero_point, int16_t *restrict out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (int16_t)(x[i] - zero_point);
    }
}

static inline int32_t dot(const int16_t *restrict a, const int8_t *restrict b, size_t n) {
    int32_t acc = 0;
    for (size_t i = 0; i < n; i++) {
        acc += (int32_t)a[i] * (int16_t)b[i];
    }
    return acc;
}

// Four rows of b, n apart, against the same a.
static inline void dot_4(
    const int16_t *restrict a, const int8_t *restrict b, size_t n, int32_t *restrict acc) {
    const int8_t *restrict b1 = b + n;
    const int8_t *restrict b2 = b + 2 * n;
    const int8_t *restrict b3 = b + 3 * n;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (size_t i = 0; i < n; i++) {
        int16_t x = a[i];
        s0 += (int32_t)x * (int16_t)b[i];
        s1 += (int32_t)x * (int16_t)b1[i];
        s2 += (int32_t)x * (int16_t)b2[i];
        s3 += (int32_t)x * (int16_t)b3[i];
    }
    acc[0] = s0;
    acc[1] = s1;
    acc[2] = s2;
    acc[3] = s3;
}

// int8 against int8, the zero point taken off a.
static inline int32_t dot_offset(
    const int8_t *restrict a, const int8_t *restrict b, size_t n, int32_t zero_point) {
#if MOTEYE_M55
    return m55_dot_offset(a, b, (uint32_t)n, zero_point);
#elif MOTEYE_M7
    return m7_dot_offset(a, b, (uint32_t)n, zero_point);
#else
    int32_t acc = 0;
    for (size_t i = 0; i < n; i++) {
        int16_t x = (int16_t)(a[i] - zero_point);
        acc += (int32_t)x * (int16_t)b[i];
    }
    return acc;
#endif
}

#endif
