/* layer_norm_q10: (x - mean) / standard deviation of a vector, by integer root and division.
 *   x    int32[n], Q10, |x| < 2^24; 1 <= n <= 1024
 *   out  int16[n], Q12; zeros where all of x is equal */
#ifndef MOTEYE_LAYER_NORM_Q10_H
#define MOTEYE_LAYER_NORM_Q10_H

#include <stdint.h>

void layer_norm_q10(const int32_t *x, uint32_t n, int16_t *out);

#endif
