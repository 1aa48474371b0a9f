#include "selective_scan_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

// Channels whose steps are kept at a time.
#define CHANNELS 16u

// Of some channels: what their states are renewed with, and what they say.
typedef struct {
    uint16_t dt[CHANNELS];     // Q12
    int16_t entered[CHANNELS]; // dt u, Q10
    int32_t said[CHANNELS];    // state · c, Q10
} steps_t;

static bool fits(const int16_t *low, uint32_t rank) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < rank; i++) {
        sum += (uint32_t)(low[i] < 0 ? -low[i] : low[i]);
    }
    return sum < 65535; // times 2^15 and a half of what is dropped: below 2^31
}

// The steps that the low-rank vector asks for, of n channels from `first` on.
static void find_steps(const caption_pack_t *pack, const int16_t *low, const int16_t *u,
    uint32_t first, uint32_t n, steps_t *out) {
    const uint32_t rank = pack->header.rank;
    const uint32x4_t rows = vmulq_n_u32(vidupq_n_u32(0, 1), rank);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        const int16_t *weight = pack->step_weight + (first + i) * rank;
        int32x4_t acc = vdupq_n_s32(0);
        for (uint32_t r = 0; r < rank; r++) {
            int32x4_t row = vldrhq_gather_shifted_offset_z_s32(weight + r, rows, active);
            acc = vmlaq_n_s32(acc, row, low[r]);
        }
        int32x4_t bias = vldrhq_z_s32(pack->step_bias + first + i, active);
        uint32x4_t entry = m55_table_at(vaddq_s32(vrshrq_n_s32(acc, 12), bias));
        uint32x4_t dt = vldrhq_gather_shifted_offset_z_u32(pack->softplus, entry, active);
        vstrhq_p_u32(out->dt + i, dt, active);
        int32x4_t entered =
            vmulq_s32(vreinterpretq_s32_u32(dt), vldrhq_z_s32(u + first + i, active));
        vstrhq_p_s32(out->entered + i, m55_sat16(vrshrq_n_s32(entered, 12)), active);
    }
}

// 2^-(dt decay) in Q15.
static inline uint16x8_t kept_of(const uint16_t *exp2, uint16x8_t dt, uint16x8_t decay) {
    uint16x8_t exponent = vqrshrnbq_n_u32(decay, vmullbq_int_u16(dt, decay), 12);
    exponent = vqrshrntq_n_u32(exponent, vmulltq_int_u16(dt, decay), 12);
    // A shift is a signed byte.
    exponent = vminq_u16(exponent, vdupq_n_u16(INT16_MAX));
    uint16x8_t part =
        vldrhq_gather_shifted_offset_u16(exp2, vmovlbq_u8(vreinterpretq_u8_u16(exponent)));
    return vshlq_u16(part, vnegq_s16(vreinterpretq_s16_u16(vshrq_n_u16(exponent, 8))));
}

// Eight states renewed, saturated; down: bits that entered * b goes down by, as a negative number.
static inline int16x8_t next_of(
    uint16x8_t kept, int16x8_t state, int16x8_t entered, int16x8_t b, int32_t down) {
    // vqrdmulh rounds as half_up(kept * state, 15) does; of 1, which int16 has not, nothing is lost.
    int16x8_t factor = vreinterpretq_s16_u16(kept);
    int16x8_t held = vpselq_s16(state, vqrdmulhq_s16(factor, state), vcmpltq_n_s16(factor, 0));
    int32x4_t even = vrshlq_n_s32(vmullbq_int_s16(entered, b), down);
    int32x4_t odd = vrshlq_n_s32(vmulltq_int_s16(entered, b), down);
    even = vaddq_s32(even, vmovlbq_s16(held));
    odd = vaddq_s32(odd, vmovltq_s16(held));
    return vqmovntq_s32(vqmovnbq_s32(held, even), odd);
}

// One channel; returns state · c.
static inline int64_t scan_channel(const uint16_t *exp2, uint32_t states, uint16x8_t dt,
    int16x8_t entered, int32_t down, const uint16_t *decay, const int16_t *b, const int16_t *c,
    int16_t *state) {
    int64_t acc = 0;
    uint32_t n = 0;
    for (; n + 8 <= states; n += 8) {
        uint16x8_t kept = kept_of(exp2, dt, vldrhq_u16(decay + n));
        int16x8_t next = next_of(kept, vldrhq_s16(state + n), entered, vldrhq_s16(b + n), down);
        vstrhq_s16(state + n, next);
        acc = vmlaldavaq_s16(acc, next, vldrhq_s16(c + n));
    }
    if (n < states) {
        mve_pred16_t active = vctp16q(states - n);
        uint16x8_t kept = kept_of(exp2, dt, vldrhq_z_u16(decay + n, active));
        int16x8_t next = next_of(
            kept, vldrhq_z_s16(state + n, active), entered, vldrhq_z_s16(b + n, active), down);
        vstrhq_p_s16(state + n, next, active);
        acc = vmlaldavaq_s16(acc, next, vldrhq_z_s16(c + n, active));
    }
    return acc;
}

static inline int32_t sat32(int64_t x) {
    return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : (int32_t)x;
}

// What n channels' states say.
static void scan_channels(const caption_pack_t *pack, steps_t *steps, uint32_t n,
    const uint16_t *decay, const int16_t *b, const int16_t *c, int16_t *state) {
    const uint32_t states = pack->header.states;
    const int32_t bits = pack->header.state_bits;
    for (uint32_t i = 0; i < n; i++, state += states, decay += states) {
        uint16x8_t dt = vdupq_n_u16(steps->dt[i]);
        int16x8_t entered = vdupq_n_s16(steps->entered[i]);
        int64_t acc = scan_channel(pack->exp2, states, dt, entered, bits - 20, decay, b, c, state);
        steps->said[i] = sat32((acc + ((int64_t)1 << (bits - 1))) >> bits);
    }
}

// The same of channels with eight states each, whose sum of products is at most 2^33: three bits of it go, at least.
static void scan_channels_of_8(const caption_pack_t *pack, steps_t *restrict steps, uint32_t n,
    const uint16_t *restrict decay, const int16_t *b, const int16_t *c, int16_t *restrict state) {
    const uint16_t *const exp2 = pack->exp2;
    const int32_t bits = pack->header.state_bits;
    const int64_t half = (int64_t)1 << (bits - 1);
    const int16x8_t all_b = vldrhq_s16(b), all_c = vldrhq_s16(c);
    for (uint32_t i = 0; i < n; i++, state += 8, decay += 8) {
        uint16x8_t kept = kept_of(exp2, vdupq_n_u16(steps->dt[i]), vldrhq_u16(decay));
        int16x8_t entered = vdupq_n_s16(steps->entered[i]);
        int16x8_t next = next_of(kept, vldrhq_s16(state), entered, all_b, bits - 20);
        vstrhq_s16(state, next);
        steps->said[i] = (int32_t)(vmlaldavaq_s16(half, next, all_c) >> bits);
    }
}

// y of n channels.
static void find_outputs(
    const int16_t *skip, const int16_t *u, const int32_t *said, uint32_t n, int16_t *y) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t past = vmulq_s32(vldrhq_z_s32(skip + i, active), vldrhq_z_s32(u + i, active));
        int32x4_t value = vqaddq_s32(vrshrq_n_s32(past, 12), vldrwq_z_s32(said + i, active));
        vstrhq_p_s32(y + i, m55_sat16(value), active);
    }
}

bool selective_scan_m55(const caption_pack_t *pack, const int16_t *low, const int16_t *b,
    const int16_t *c, const int16_t *u, int16_t *state, int16_t *y) {
    const caption_header_t *h = &pack->header;
    const uint32_t states = h->states, width = h->width;
    const uint16_t *decay = pack->decay;
    if (!fits(low, h->rank)) {
        return false;
    }
    for (uint32_t first = 0; first < width; first += CHANNELS) {
        uint32_t n = width - first < CHANNELS ? width - first : CHANNELS;
        steps_t steps;
        find_steps(pack, low, u, first, n, &steps);
        if (states == 8 && h->state_bits >= 3) {
            scan_channels_of_8(pack, &steps, n, decay, b, c, state);
        } else {
            scan_channels(pack, &steps, n, decay, b, c, state);
        }
        find_outputs(pack->skip + first, u + first, steps.said, n, y + first);
        state += n * states;
        decay += n * states;
    }
    return true;
}

#endif
