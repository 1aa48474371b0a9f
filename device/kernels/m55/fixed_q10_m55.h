/* fixed_q10_m55: fixed_q10.h on four lanes. Private to the runtime. */
#ifndef MOTEYE_FIXED_Q10_M55_H
#define MOTEYE_FIXED_Q10_M55_H

#include "target_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#include "../fixed_q10.h"

// The highest shift for which m55_scaled is exact.
#define M55_SCALED_SHIFT (-2)

// scaled(x, multiplier, shift) where `down` is shift + 1: what vmulh drops decides no half.
static inline int32x4_t m55_scaled(int32x4_t x, int32x4_t multiplier, int32x4_t down) {
    return vrshlq_s32(vmulhq_s32(x, multiplier), down);
}

// scale.
static inline int32x4_t m55_scale(int32x4_t x, const scale_t *by) {
    x = vmulhq_s32(vshlq_r_s32(x, by->up), vdupq_n_s32(by->multiplier));
    return vrshlq_n_s32(x, -by->down);
}

// Saturated, for a store of halves (vstrh.32).
static inline int32x4_t m55_sat16(int32x4_t x) {
    return vreinterpretq_s32_s16(vqmovnbq_s32(vreinterpretq_s16_s32(x), x));
}

// hardswish_q10 of |v| < 2^17.
static inline int32x4_t m55_hardswish(int32x4_t v) {
    int32x4_t share = vmaxq_s32(vaddq_n_s32(v, 3072), vdupq_n_s32(0));
    share = vmulq_n_s32(vminq_s32(share, vdupq_n_s32(6144)), 10923);
    return vrshrq_n_s32(vmulq_s32(v, vrshrq_n_s32(share, 16)), 10);
}

// table_at.
static inline uint32x4_t m55_table_at(int32x4_t v) {
    v = vminq_s32(vmaxq_s32(v, vdupq_n_s32(-8192)), vdupq_n_s32(8191));
    return vshrq_n_u32(vreinterpretq_u32_s32(vaddq_n_s32(v, 8192)), 4);
}

#endif
#endif
