#include "selective_scan_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

// 2^-exponent in Q15, exponent Q8.
static inline int32x4_t kept_of(const uint16_t *exp2, uint32x4_t exponent, mve_pred16_t active) {
    uint32x4_t fraction = vandq_u32(exponent, vdupq_n_u32(255));
    uint32x4_t whole = vminq_u32(vshrq_n_u32(exponent, 8), vdupq_n_u32(31));
    uint32x4_t part = vldrhq_gather_shifted_offset_z_u32(exp2, fraction, active);
    return vreinterpretq_s32_u32(vshlq_u32(part, vnegq_s32(vreinterpretq_s32_u32(whole))));
}

int64_t scan_states_m55(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state) {
    const uint32_t states = pack->header.states;
    const int32_t down = pack->header.state_bits - 20;
    const uint16_t *exp2 = pack->exp2;
    int64_t acc = 0;
    for (uint32_t n = 0; n < states; n += 4) {
        mve_pred16_t active = vctp32q(states - n);
        uint32x4_t exponent = vrshrq_n_u32(vmulq_n_u32(vldrhq_z_u32(decay + n, active), dt), 12);
        int32x4_t kept = kept_of(exp2, exponent, active);
        int32x4_t next = vrshrq_n_s32(vmulq_s32(kept, vldrhq_z_s32(state + n, active)), 15);
        int32x4_t came = vmulq_n_s32(vldrhq_z_s32(b + n, active), entered);
        next = m55_sat16(vaddq_s32(next, vrshlq_n_s32(came, down)));
        next = vmovlbq_s16(vreinterpretq_s16_s32(next));
        vstrhq_p_s32(state + n, next, active);
        acc = vmlaldavaq_s32(acc, next, vldrhq_z_s32(c + n, active));
    }
    return acc;
}

#endif
