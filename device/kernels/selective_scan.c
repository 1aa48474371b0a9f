#include "selective_scan.h"
#include "fixed_q10.h"
#include "m55/selective_scan_m55.h"
#include "m7/selective_scan_m7.h"
#include "x86/selective_scan_x86.h"

// softplus of the step that a channel's low-rank vector asks for, Q12.
static uint32_t step_of(const caption_pack_t *pack, const int16_t *low, uint32_t channel) {
    const int16_t *weight = pack->step_weight + channel * pack->header.rank;
    int64_t acc = 0;
    uint32_t i = 0;
#if MOTEYE_M7
    for (; i + 2 <= pack->header.rank; i += 2) {
        acc = m7_smlald(m7_load(weight + i), m7_load(low + i), acc);
    }
#endif
    for (; i < pack->header.rank; i++) {
        acc += (int32_t)weight[i] * low[i];
    }
    return pack->softplus[table_at((int32_t)half_up_wide(acc, 12) + pack->step_bias[channel])];
}

// A channel's states, renewed; returns state · c.
static int64_t scan_states(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state) {
#if MOTEYE_M7
    return scan_states_m7(pack, decay, dt, entered, b, c, state);
#else
    int32_t bits = pack->header.state_bits;
    int64_t acc = 0;
    uint32_t n = 0;
#if MOTEYE_X86
    n = scan_states_x86(pack, decay, dt, entered, b, c, state, &acc);
#endif
    for (; n < pack->header.states; n++) {
        uint32_t exponent = (dt * decay[n] + 2048) >> 12;
        uint32_t whole = exponent >> 8;
        int32_t kept = pack->exp2[exponent & 255] >> (whole < 31 ? whole : 31);
        int32_t next = half_up(kept * state[n], 15) + half_up(entered * b[n], 20 - bits);
        state[n] = sat16(next);
        acc += (int32_t)state[n] * c[n];
    }
    return acc;
#endif
}

void selective_scan(const caption_pack_t *pack, const int16_t *low, const int16_t *b,
    const int16_t *c, const int16_t *u, int16_t *state, int16_t *y) {
#if MOTEYE_M55
    if (selective_scan_m55(pack, low, b, c, u, state, y)) {
        return;
    }
#endif
    uint32_t states = pack->header.states;
    int32_t bits = pack->header.state_bits;
    const uint16_t *decay = pack->decay;
    for (uint32_t channel = 0; channel < pack->header.width; channel++) {
        uint32_t dt = step_of(pack, low, channel);
        int32_t entered = sat16(half_up((int32_t)dt * u[channel], 12));
        int64_t acc = scan_states(pack, decay, dt, entered, b, c, state);
        y[channel] = sat16_wide(
            half_up_wide(acc, bits) + half_up((int32_t)pack->skip[channel] * u[channel], 12));
        state += states;
        decay += states;
    }
}
