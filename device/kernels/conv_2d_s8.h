/* conv_2d_s8: 2-D convolution, int8, per-channel quantised.
 *   input   int8[in_h][in_w][in_c]
 *   filter  int8[out_c][kernel_h][kernel_w][in_c], zero point 0
 *   quant   bias, multiplier and shift, out_c each
 *   output  int8[out_h][out_w][out_c], must not overlap the input
 * Any stride, dilation and padding >= 1, 1, 0; kernel_h * kernel_w * in_c <= 65,535. Returns
 * MOTEYE_OK, MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was. Allocates nothing; at
 * most 1.5 KB of stack. Bit-exact with the TFLite reference kernel. */
#ifndef MOTEYE_CONV_2D_S8_H
#define MOTEYE_CONV_2D_S8_H

#include "window_2d.h"

int conv_2d_s8(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);

/* conv_2d_s8_check: the same refusals, without data; NULL `quant` checks the shape only. */
int conv_2d_s8_check(const window_2d_t *window, const channel_quant_t *quant);

/* conv_2d_gather: one window as int16[kernel_h * kernel_w * in_c], the zero point taken off, so that
 * places outside the input are 0. */
void conv_2d_gather(
    const window_2d_t *window, const window_place_t *place, const int8_t *input, int16_t *patch);

#endif
