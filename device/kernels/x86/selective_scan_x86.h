/* selective_scan_x86: the states of one channel of selective_scan on AVX2, eight at a time. Private to the runtime. */
#ifndef MOTEYE_SELECTIVE_SCAN_X86_H
#define MOTEYE_SELECTIVE_SCAN_X86_H

#include "../caption_pack.h"
#include "target_x86.h"

#if MOTEYE_X86
/* scan_states_x86: renews as many states as are a multiple of eight, none without AVX2; returns how many,
 * and adds their product with c to *acc. */
uint32_t scan_states_x86(const caption_pack_t *pack, const uint16_t *decay, uint32_t dt,
    int32_t entered, const int16_t *b, const int16_t *c, int16_t *state, int64_t *acc);
#endif

#endif
