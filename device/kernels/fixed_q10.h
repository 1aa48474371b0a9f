/* fixed_q10: arithmetic of the captioner's kernels on int16 values in Q10. Rounding is half up. */
#ifndef MOTEYE_FIXED_Q10_H
#define MOTEYE_FIXED_Q10_H

#include <stdint.h>

#include "requantize.h"

#define LOG2E_Q10 1477
// exp of minus this and more, 2^-92, is 0.
#define EXP_FAR_Q10 (1u << 16)

static inline int32_t half_up(int32_t x, int32_t bits) {
    return (x + (1 << (bits - 1))) >> bits;
}

static inline int64_t half_up_wide(int64_t x, int32_t bits) {
    return (x + ((int64_t)1 << (bits - 1))) >> bits;
}

// x * multiplier / 2^(31 - shift)
static inline int64_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
    return half_up_wide((int64_t)x * multiplier, 31 - shift);
}

static inline int32_t clamp_wide(int64_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : (int32_t)x;
}

static inline int16_t sat16(int32_t x) {
    return (int16_t)clamp(x, INT16_MIN, INT16_MAX);
}

static inline int16_t sat16_wide(int64_t x) {
    return (int16_t)clamp_wide(x, INT16_MIN, INT16_MAX);
}

// Quotient of the nearest whole number, halves up; by > 0.
static inline int64_t divide_half_up(int64_t x, int64_t by) {
    int64_t doubled = 2 * x + by, quotient = doubled / (2 * by);
    return doubled % (2 * by) < 0 ? quotient - 1 : quotient;
}

// The same of |x| < 2^29 and by < 2^29, for processors that divide 32 bits only.
static inline int32_t divide_half_up_32(int32_t x, int32_t by) {
    int32_t doubled = 2 * x + by, quotient = doubled / (2 * by);
    return doubled % (2 * by) < 0 ? quotient - 1 : quotient;
}

// x * relu6(x + 3) / 6, |v| < 2^17
static inline int32_t hardswish_q10(int32_t v) {
    int32_t share = (clamp(v + 3072, 0, 6144) * 10923 + 32768) >> 16;
    return half_up(v * share, 10);
}

// Index of a table of 1024 entries over [-8, 8).
static inline uint32_t table_at(int32_t v) {
    return (uint32_t)(clamp(v, -8192, 8191) + 8192) >> 4;
}

#endif
