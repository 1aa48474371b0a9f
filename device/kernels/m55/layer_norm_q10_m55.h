/* layer_norm_q10_m55: the loops of layer_norm_q10 on Helium. Private to the runtime. */
#ifndef MOTEYE_LAYER_NORM_Q10_M55_H
#define MOTEYE_LAYER_NORM_Q10_M55_H

#include "target_m55.h"

#if MOTEYE_M55
int64_t layer_norm_total_m55(const int32_t *x, uint32_t n);

/* layer_norm_squares_m55: the sum of squares of x - mean, held within 65,535. */
uint64_t layer_norm_squares_m55(const int32_t *x, uint32_t n, int32_t mean);

/* layer_norm_apply_m55: (x - mean) inverse / 2^bits; inverse <= 2^16, 4 <= bits <= 19. */
void layer_norm_apply_m55(
    const int32_t *x, uint32_t n, int32_t mean, int32_t inverse, int32_t bits, int16_t *out);
#endif

#endif
