/* selective_scan_m7: the states of one channel of selective_scan on Cortex-M7. Private to the runtime. */
#ifndef MOTEYE_SELECTIVE_SCAN_M7_H
#define MOTEYE_SELECTIVE_SCAN_M7_H

#include "../caption_pack.h"
#include "target_m7.h"

#if MOTEYE_M7
/* scan_states_m7: renews state int16[states] of a channel whose decay begins at `decay`; returns state · c. */
int64_t scan_states_m7(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state);
#endif

#endif
