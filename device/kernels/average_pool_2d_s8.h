/* average_pool_2d_s8: mean over a window, per channel, places outside the input left out of sum and
 * count.
 *   input  int8[in_h][in_w][c]      output  int8[out_h][out_w][c], must not overlap the input
 * Input and output share one quantisation; the zero points in `window` are not used. Rounds half
 * away from zero. Returns MOTEYE_OK, MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it
 * was. Allocates nothing; 256 bytes of stack. Bit-exact with the TFLite reference kernel. */
#ifndef MOTEYE_AVERAGE_POOL_2D_S8_H
#define MOTEYE_AVERAGE_POOL_2D_S8_H

#include "window_2d.h"

int average_pool_2d_s8(const window_2d_t *window, const int8_t *input, int8_t *output);

/* average_pool_2d_s8_check: the same refusals, without data. */
int average_pool_2d_s8_check(const window_2d_t *window);

#endif
