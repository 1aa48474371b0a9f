/* target_m7: whether this build has the kernels for Cortex-M cores with the DSP extension and an
 * FPU (M4F, M7, M33F), and what they share. Helium cores have their own. Private to the runtime. */
#ifndef MOTEYE_TARGET_M7_H
#define MOTEYE_TARGET_M7_H

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && defined(__thumb2__) &&                      \
    !defined(__ARM_FEATURE_MVE)
#define MOTEYE_M7 1
#else
#define MOTEYE_M7 0
#endif

#if MOTEYE_M7

#include <stdbool.h>
#include <stdint.h>

#include "../requantize.h"

static inline int32_t m7_smmulr(int32_t a, int32_t b) {
    int32_t out;
    __asm__("smmulr %0, %1, %2" : "=r"(out) : "r"(a), "r"(b));
    return out;
}

static inline int32_t m7_smlad(uint32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlad %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

// Both halves of a times those of b, added to 64 bits.
static inline int64_t m7_smlald(uint32_t a, uint32_t b, int64_t acc) {
    __asm__("smlald %Q0, %R0, %1, %2" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
}

// The lower half of a times a half of b, plus acc: the lower one, the upper one.
static inline int32_t m7_smlabb(int32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

static inline int32_t m7_smlabt(int32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlabt %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

// The upper halves.
static inline int32_t m7_smlatt(uint32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

// (a times a half of b) >> 16, plus acc: the lower one, the upper one.
static inline int32_t m7_smlawb(int32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

static inline int32_t m7_smlawt(int32_t a, uint32_t b, int32_t acc) {
    int32_t out;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(acc));
    return out;
}

static inline int32_t m7_ssat16(int32_t x) {
    int32_t out;
    __asm__("ssat %0, #16, %1" : "=r"(out) : "r"(x));
    return out;
}

// Bytes 0 and 2 of `bytes`, sign-extended to halves, added to the halves of `to`.
static inline uint32_t m7_sxtab16(uint32_t to, uint32_t bytes) {
    uint32_t out;
    __asm__("sxtab16 %0, %1, %2" : "=r"(out) : "r"(to), "r"(bytes));
    return out;
}

// Bytes 0 and 2 of `bytes`, sign-extended to halves.
static inline uint32_t m7_sxtb16(uint32_t bytes) {
    uint32_t out;
    __asm__("sxtb16 %0, %1" : "=r"(out) : "r"(bytes));
    return out;
}

// The same of bytes 1 and 3.
static inline uint32_t m7_sxtb16_odd(uint32_t bytes) {
    uint32_t out;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(out) : "r"(bytes));
    return out;
}

// As m7_sxtab16, of bytes 1 and 3.
static inline uint32_t m7_sxtab16_odd(uint32_t to, uint32_t bytes) {
    uint32_t out;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(out) : "r"(to), "r"(bytes));
    return out;
}

// (low half of a, low half of b), lower half first.
static inline uint32_t m7_pack_low(uint32_t a, uint32_t b) {
    uint32_t out;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(out) : "r"(a), "r"(b));
    return out;
}

// (high half of a, high half of b).
static inline uint32_t m7_pack_high(uint32_t a, uint32_t b) {
    uint32_t out;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(out) : "r"(b), "r"(a));
    return out;
}

static inline int32_t m7_ssat8(int32_t x) {
    int32_t out;
    __asm__("ssat %0, #8, %1" : "=r"(out) : "r"(x));
    return out;
}

// Within [0, 2^5), [0, 2^11), and [0, 2^13).
static inline uint32_t m7_usat5(uint32_t x) {
    uint32_t out;
    __asm__("usat %0, #5, %1" : "=r"(out) : "r"(x));
    return out;
}

static inline int32_t m7_usat11(int32_t x) {
    int32_t out;
    __asm__("usat %0, #11, %1" : "=r"(out) : "r"(x));
    return out;
}

static inline int32_t m7_usat13(int32_t x) {
    int32_t out;
    __asm__("usat %0, #13, %1" : "=r"(out) : "r"(x));
    return out;
}

static inline uint32_t m7_load(const void *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof(word));
    return word;
}

// Twice the negated zero point in both halves: what widening adds to twice a byte.
static inline uint32_t m7_twice_minus(int32_t zero_point) {
    return (uint16_t)(-2 * zero_point) * 0x10001u;
}

static inline int32_t m7_smmlar(int32_t a, int32_t b, int32_t c) {
    int32_t out;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(out) : "r"(a), "r"(b), "r"(c));
    return out;
}

// Both halves negated.
static inline uint32_t m7_negate(uint32_t halves) {
    uint32_t out;
    __asm__("ssub16 %0, %1, %2" : "=r"(out) : "r"(0), "r"(halves));
    return out;
}

/* One channel's requantisation in four instructions: with t the doubled sum, the result is
 * ssat8((smmlar(t, multiplier, offset) + (t >> 31)) >> shift): half away from zero, the zero point
 * in `offset`. The multiplier is not negative, so that the sum has the product's sign. */
typedef struct {
    int32_t multiplier, offset, shift;
} m7_factor_t;

// A factor that gives `value` whatever comes in.
static inline m7_factor_t m7_constant(int32_t value) {
    return (m7_factor_t){0, 2 * value + 1, 1};
}

// How a channel gets its factor: as it is; with its weights and bias negated; not at all.
typedef enum { M7_PLAIN, M7_NEGATED, M7_GENERAL } m7_way_t;

/* m7_factor: the constants of one channel, exact for every |sum| <= terms * 255 * 128 + |bias|. */
static inline m7_way_t m7_factor(const channel_quant_t *quant, uint32_t channel, uint32_t terms,
    int32_t zero_point, m7_factor_t *out) {
    int32_t bias = quant->bias[channel], multiplier = quant->multiplier[channel];
    int32_t right = -quant->shift[channel];
    if (bias > 1 << 28 || bias < -(1 << 28) || terms > 4096) {
        return M7_GENERAL;
    }
    uint32_t bound = terms * 32640u + (uint32_t)(bias < 0 ? -bias : bias);
    if (multiplier == 0 || (right > 23 && bound < 1u << (right - 1))) {
        *out = m7_constant(zero_point); // rounds to zero whatever comes in
        return M7_PLAIN;
    }
    if (right < 1 || right > 23) {
        return M7_GENERAL;
    }
    out->multiplier = multiplier < 0 ? -multiplier : multiplier;
    out->offset = (1 << (right - 1)) + zero_point * (1 << right);
    out->shift = right;
    return multiplier < 0 ? M7_NEGATED : M7_PLAIN;
}

/* m7_clamp: an activation narrower than int8, over a whole output. */
void m7_clamp(int8_t *values, uint32_t count, int32_t act_min, int32_t act_max);

#endif
#endif
