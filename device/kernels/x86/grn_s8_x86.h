/* grn_s8_x86: the loops of grn_s8 over pixels on AVX2: as many channels as are a multiple of sixteen, none without
 * AVX2. Both
 * return how many. Private to the runtime. */
#ifndef MOTEYE_GRN_S8_X86_H
#define MOTEYE_GRN_S8_X86_H

#include "../grn_s8.h"
#include "target_x86.h"

#if MOTEYE_X86
uint32_t grn_square_sums_x86(const grn_t *shape, const int8_t *input, uint32_t *sums);
uint32_t grn_apply_x86(const grn_t *shape, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output);
#endif

#endif
