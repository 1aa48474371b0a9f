/* selective_scan: one step of the captioner's state space.
 *
 *   dt = softplus(step · low + bias)   state = 2^(-dt · decay) state + dt u b   y = state · c + skip u
 *
 *   low    int16 Q10 [R]   b, c  int16 Q10 [N]   u  int16 Q10 [D]
 *   state  int16[D][N], `state_bits` fraction bits, in and out
 *   y      out, int16 Q10 [D]; may be u */
#ifndef MOTEYE_SELECTIVE_SCAN_H
#define MOTEYE_SELECTIVE_SCAN_H

#include "caption_pack.h"

void selective_scan(const caption_pack_t *pack, const int16_t *low, const int16_t *b,
    const int16_t *c, const int16_t *u, int16_t *state, int16_t *y);

#endif
