/* selective_scan_m55: the states of one channel of selective_scan on Helium. Private to the runtime. */
#ifndef MOTEYE_SELECTIVE_SCAN_M55_H
#define MOTEYE_SELECTIVE_SCAN_M55_H

#include "../caption_pack.h"
#include "target_m55.h"

#if MOTEYE_M55

#include "fixed_q10_m55.h"

// A channel's step, the same for all its states.
typedef struct {
    const uint16_t *exp2;
    uint32_t dt;           // Q12
    int32_t entered, down; // dt u; a product with it goes down so many bits, as a negative number
} scan_step_m55_t;

// 2^-exponent in Q15, exponent Q8.
static inline int32x4_t scan_kept_m55(const uint16_t *exp2, uint32x4_t exponent) {
    uint32x4_t fraction = vandq_u32(exponent, vdupq_n_u32(255));
    uint32x4_t whole = vminq_u32(vshrq_n_u32(exponent, 8), vdupq_n_u32(31));
    uint32x4_t part = vldrhq_gather_shifted_offset_u32(exp2, fraction);
    return vreinterpretq_s32_u32(vshlq_u32(part, vnegq_s32(vreinterpretq_s32_u32(whole))));
}

// Four states renewed, saturated.
static inline int32x4_t scan_next_m55(
    const scan_step_m55_t *step, uint32x4_t decay, int32x4_t state, int32x4_t b) {
    uint32x4_t exponent = vrshrq_n_u32(vmulq_n_u32(decay, step->dt), 12);
    int32x4_t next = vrshrq_n_s32(vmulq_s32(scan_kept_m55(step->exp2, exponent), state), 15);
    next = vaddq_s32(next, vrshlq_n_s32(vmulq_n_s32(b, step->entered), step->down));
    return vmovlbq_s16(vreinterpretq_s16_s32(m55_sat16(next)));
}

/* scan_states_m55: renews state int16[states] of a channel whose decay begins at `decay`; returns
 * state · c. */
static inline int64_t scan_states_m55(const caption_pack_t *pack, const uint16_t *decay,
    uint32_t dt, int32_t entered, const int16_t *b, const int16_t *c, int16_t *state) {
    const scan_step_m55_t step = {pack->exp2, dt, entered, pack->header.state_bits - 20};
    const uint32_t states = pack->header.states;
    int64_t acc = 0;
    uint32_t n = 0;
    for (; n + 4 <= states; n += 4) {
        int32x4_t next =
            scan_next_m55(&step, vldrhq_u32(decay + n), vldrhq_s32(state + n), vldrhq_s32(b + n));
        vstrhq_s32(state + n, next);
        acc = vmlaldavaq_s32(acc, next, vldrhq_s32(c + n));
    }
    if (n < states) {
        mve_pred16_t active = vctp32q(states - n);
        int32x4_t next = scan_next_m55(&step, vldrhq_z_u32(decay + n, active),
            vldrhq_z_s32(state + n, active), vldrhq_z_s32(b + n, active));
        vstrhq_p_s32(state + n, next, active);
        acc = vmlaldavaq_s32(acc, next, vldrhq_z_s32(c + n, active));
    }
    return acc;
}

#endif
#endif
