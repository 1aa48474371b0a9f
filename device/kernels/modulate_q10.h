/* modulate_q10: what a hidden state lets through of a map (GCDM: a bias for each channel that is not
 * bounded, then a share of each channel), and the gates of the state space.
 *
 * modulate_sum_q10: over all positions, the sum of hardswish(seen + bias).
 *   seen  int16 Q10 [positions][width]      bias  int16 Q10 [width]
 *   sum   out, int32 Q10 [width] */
#ifndef MOTEYE_MODULATE_Q10_H
#define MOTEYE_MODULATE_Q10_H

#include <stdint.h>

void modulate_sum_q10(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum);

/* modulate_channels_q10: x[i] times the share that sigmoid, Q15 [1024] over [-8, 8), gives at[i].
 *   x  int16 Q10 [n], in and out      at  int16 Q10 [n] */
void modulate_channels_q10(int16_t *x, const int16_t *at, uint32_t n, const uint16_t *sigmoid);

/* hardswish_all_q10: int16 Q10 [n] in place. */
void hardswish_all_q10(int16_t *x, uint32_t n);

#endif
