/* mean_s8_m55: sums of up to 64 neighbouring channels over `reduce` rows, for mean_s8, on Helium. */
#ifndef MOTEYE_MEAN_S8_M55_H
#define MOTEYE_MEAN_S8_M55_H

#include "target_m55.h"

#if MOTEYE_M55
/*   input  int8[reduce][stride], of which the first n      sums  out, int32[n] */
void mean_s8_m55(const int8_t *input, uint32_t reduce, uint32_t stride, uint32_t n, int32_t *sums);
#endif

#endif
