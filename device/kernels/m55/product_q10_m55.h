/* product_q10_m55: product_q10 and quantise_q10 (their header is the contract) on Helium. product_q10_m55 is
 * false where the product does not fit it: fewer than four rows, or a factor of 1/4 and more. Private to the
 * runtime. */
#ifndef MOTEYE_PRODUCT_Q10_M55_H
#define MOTEYE_PRODUCT_Q10_M55_H

#include "../caption_pack.h"
#include "target_m55.h"

#if MOTEYE_M55
bool product_q10_m55(const caption_product_t *product, const int8_t *x, int16_t *out);
void quantise_q10_m55(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out);
#endif

#endif
