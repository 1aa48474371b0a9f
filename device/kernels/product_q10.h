/* product_q10: a matrix of int8 rows times an int8 vector, each row scaled to Q10 and saturated.
 *   x    int8[product->columns]
 *   out  int16[product->rows]; must not overlap x */
#ifndef MOTEYE_PRODUCT_Q10_H
#define MOTEYE_PRODUCT_Q10_H

#include "caption_pack.h"

void product_q10(const caption_product_t *product, const int8_t *x, int16_t *out);

/* quantise_q10: int8[n] of Q10 values by a factor of the pack, within [-127, 127]. */
void quantise_q10(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out);

#endif
