/* selective_scan_m55: selective_scan (its header is the contract) on Helium. False where the low-rank vector
 * is so large that a step could need more than 32 bits. Private to the runtime. */
#ifndef MOTEYE_SELECTIVE_SCAN_M55_H
#define MOTEYE_SELECTIVE_SCAN_M55_H

#include "../caption_pack.h"
#include "target_m55.h"

#if MOTEYE_M55
bool selective_scan_m55(const caption_pack_t *pack, const int16_t *low, const int16_t *b,
    const int16_t *c, const int16_t *u, int16_t *state, int16_t *y);
#endif

#endif
