/* grn_s8_m55: the loops of grn_s8 over pixels on Helium. Private to the runtime. */
#ifndef MOTEYE_GRN_S8_M55_H
#define MOTEYE_GRN_S8_M55_H

#include "../grn_s8.h"
#include "target_m55.h"

#if MOTEYE_M55
void grn_square_sums_m55(
    const int8_t *input, uint32_t pixels, uint32_t channels, int32_t zero_point, uint32_t *sums);
void grn_apply_m55(const grn_t *shape, const int8_t *input, const int32_t *factors,
    const int32_t *bias, int8_t *output);
#endif

#endif
