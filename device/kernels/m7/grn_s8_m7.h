/* grn_s8_m7: the loops of grn_s8 over pixels on Cortex-M7: sums of as many channels as are a multiple of four,
 * outputs of an even number. Both return how many. Private to the runtime. */
#ifndef MOTEYE_GRN_S8_M7_H
#define MOTEYE_GRN_S8_M7_H

#include "../grn_s8.h"
#include "target_m7.h"

#if MOTEYE_M7
uint32_t grn_square_sums_m7(const grn_t *shape, const int8_t *input, uint32_t *sums);
uint32_t grn_apply_m7(const grn_t *shape, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output);
#endif

#endif
