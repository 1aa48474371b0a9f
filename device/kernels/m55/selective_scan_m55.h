/* selective_scan_m55: the states of one channel of selective_scan on Helium. Private to the runtime. */
#ifndef MOTEYE_SELECTIVE_SCAN_M55_H
#define MOTEYE_SELECTIVE_SCAN_M55_H

#include "../caption_pack.h"
#include "target_m55.h"

#if MOTEYE_M55

/* scan_states_m55: renews state int16[states] of a channel whose decay begins at `decay`; returns
 * state · c. dt Q12; entered is dt u. */
int64_t scan_states_m55(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state);

#endif
#endif
