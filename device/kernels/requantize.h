/* requantize: int32 accumulators to int8, exactly as the TFLite reference kernels round.
 *
 * A real factor is (multiplier, shift): multiplier in (-2^31, 2^31) is a Q31 fraction, shift in
 * [-31, 30] a power of two; some exporters give filters negative scales, so a factor may be
 * negative. The product is rounded twice (requantize), half up after the doubling high multiply and
 * half away from zero after the right shift, or once (requantize_once): which one is part of an
 * operator's contract, since they differ in the last bit. Sums wrap modulo 2^32 instead of
 * overflowing, so no weights can make the behaviour undefined. */
#ifndef MOTEYE_REQUANTIZE_H
#define MOTEYE_REQUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUANTIZE_SHIFT_MIN (-31)
#define REQUANTIZE_SHIFT_MAX 30

static inline int32_t wrapping_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t wrapping_shift_left(int32_t x, int32_t shift) {
    return (int32_t)((uint32_t)x << shift);
}

// Round(x * multiplier / 2^31). The one saturating case, both factors -2^31, cannot occur: see
// requantize_ok.
static inline int32_t doubling_high_multiply(int32_t x, int32_t multiplier) {
    return (int32_t)(((int64_t)x * multiplier + (1 << 30)) >> 31);
}

static inline int32_t rounding_shift_right(int32_t x, int32_t shift) {
    int32_t mask = (int32_t)((1u << shift) - 1u);
    int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> shift) + ((x & mask) > threshold);
}

static inline int32_t requantize(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t left = shift > 0 ? shift : 0;
    int32_t right = shift > 0 ? 0 : -shift;
    return rounding_shift_right(
        doubling_high_multiply(wrapping_shift_left(x, left), multiplier), right);
}

// The same factor with one rounding, half up: what FULLY_CONNECTED does.
static inline int32_t requantize_once(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t right = 31 - shift;
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (right - 1))) >> right);
}

static inline int32_t clamp(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}

static inline bool requantize_ok(int32_t multiplier, int32_t shift) {
    return multiplier > INT32_MIN && shift >= REQUANTIZE_SHIFT_MIN && shift <= REQUANTIZE_SHIFT_MAX;
}

/* Constants of an operator with weights: one entry per output channel in each array. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier; // (-2^31, 2^31)
    const int8_t *shift;       // [-31, 30]
} channel_quant_t;

static inline bool channel_quant_ok(const channel_quant_t *quant, size_t channels) {
    for (size_t i = 0; i < channels; i++) {
        if (!requantize_ok(quant->multiplier[i], quant->shift[i])) {
            return false;
        }
    }
    return true;
}

static inline bool zero_point_ok(int32_t zero_point) {
    return zero_point >= -128 && zero_point <= 127;
}

static inline bool activation_ok(int32_t act_min, int32_t act_max) {
    return act_min >= -128 && act_min <= act_max && act_max <= 127;
}

#endif
