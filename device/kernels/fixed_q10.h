/* fixed_q10: arithmetic of the captioner's kernels on int16 values in Q10. Rounding is half up. */
#ifndef MOTEYE_FIXED_Q10_H
#define MOTEYE_FIXED_Q10_H

#include <stdint.h>

#include "m7/target_m7.h"
#include "requantize.h"

#define LOG2E_Q10 1477
// exp of minus this and more, 2^-23, is 0 in Q15.
#define EXP_FAR_Q10 (1u << 14)

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

// The upper half of a product.
static inline int32_t high(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b) >> 32);
}

// x / 2^bits, half up, of any int32; bits >= 1.
static inline int32_t half_up_any(int32_t x, int32_t bits) {
    return ((x >> (bits - 1)) + 1) >> 1;
}

// `scaled` in 32 bits: what `high` drops decides no half, since `down` is at least 1.
typedef struct {
    int32_t multiplier, up, down;
} scale_t;

// Exact for |x| <= 2^bits where shift <= 29 - bits.
static inline scale_t scale_of(int32_t multiplier, int32_t shift) {
    int32_t right = 31 - shift, up = right < 33 ? 33 - right : 0;
    return (scale_t){multiplier, up, right + up - 32};
}

static inline int32_t scale(int32_t x, const scale_t *by) {
    return half_up_any(high(wrapping_shift_left(x, by->up), by->multiplier), by->down);
}

static inline int32_t clamp_wide(int64_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : (int32_t)x;
}

static inline int16_t sat16(int32_t x) {
#if MOTEYE_M7
    return (int16_t)m7_ssat16(x);
#else
    return (int16_t)clamp(x, INT16_MIN, INT16_MAX);
#endif
}

static inline int16_t sat16_wide(int64_t x) {
    return (int16_t)clamp_wide(x, INT16_MIN, INT16_MAX);
}

// Quotient of the nearest whole number, halves up; by > 0.
static inline int64_t divide_half_up(int64_t x, int64_t by) {
    int64_t doubled = 2 * x + by, quotient = doubled / (2 * by);
    return doubled % (2 * by) < 0 ? quotient - 1 : quotient;
}

// Division by one number of 1..256, many times.
typedef struct {
    int32_t inverse, add, down;
} divisor_t;

static inline divisor_t divisor_of(uint32_t by) {
    int32_t down = 31 - __builtin_clz(by);
    return (divisor_t){
        (int32_t)((((uint64_t)1 << (30 + down)) + by / 2) / by), 2 * (int32_t)by + 1, down};
}

// divide_half_up of |x| <= 2^16 times the divisor. (4 x + 2 by + 1) / (4 by) is never within 1 / (4 by) of a
// whole number, and the inverse is off by less than that.
static inline int32_t divide_by(int32_t x, const divisor_t *by) {
    return high(4 * x + by->add, by->inverse) >> by->down;
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
