#include "selective_scan_m7.h"

#if MOTEYE_M7

// 2^-(dt decay) in Q17.
static inline int32_t kept_of(const uint16_t *exp2, uint32_t dt, uint32_t decay) {
    uint32_t exponent = dt * decay + 2048, whole = m7_usat5(exponent >> 20);
    return (int32_t)((uint32_t)exp2[exponent >> 12 & 255] >> whole << 2);
}

// half_up(kept * state, 15) + entered * b, rounded and down: smlaw drops 16 bits of kept * 4 * state, so that
// one more and a half are left.
static inline int32_t sum_of(int32_t kept_state, int32_t entered_b, int32_t down) {
    return m7_ssat16((kept_state >> 1) + (entered_b >> down));
}

int64_t scan_states_m7(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state) {
    const uint16_t *exp2 = pack->exp2;
    const int32_t down = 20 - pack->header.state_bits, half = 1 << (down - 1);
    int64_t acc = 0;
    uint32_t left = pack->header.states;
    for (; left >= 2; left -= 2, decay += 2, b += 2, c += 2, state += 2) {
        uint32_t two = m7_load(state), bs = m7_load(b);
        int32_t low = m7_smlawb(kept_of(exp2, dt, decay[0]), two, 1);
        int32_t high = m7_smlawt(kept_of(exp2, dt, decay[1]), two, 1);
        low = sum_of(low, m7_smlabb(entered, bs, half), down);
        high = sum_of(high, m7_smlabt(entered, bs, half), down);
        two = m7_pack_low((uint32_t)low, (uint32_t)high);
        __builtin_memcpy(state, &two, sizeof(two));
        acc = m7_smlald(two, m7_load(c), acc);
    }
    if (left > 0) {
        int32_t kept = m7_smlawb(kept_of(exp2, dt, *decay), (uint32_t)*state, 1);
        *state = (int16_t)sum_of(kept, entered * *b + half, down);
        acc += *state * *c;
    }
    return acc;
}

#endif
