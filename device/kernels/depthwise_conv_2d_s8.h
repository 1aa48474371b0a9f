/* depthwise_conv_2d_s8: 2-D convolution of each channel by itself, int8, per-channel quantised.
 *   input   int8[in_h][in_w][in_c]
 *   filter  int8[kernel_h][kernel_w][out_c], zero point 0, out_c = in_c * depth_multiplier;
 *           output channel c reads input channel c / depth_multiplier
 *   quant   bias, multiplier and shift, out_c each
 *   output  int8[out_h][out_w][out_c], must not overlap the input
 * Any stride, dilation and padding >= 1, 1, 0; kernel_h * kernel_w <= 65,535. Returns MOTEYE_OK,
 * MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was. Allocates nothing; at most 0.5
 * KB of stack. Bit-exact with the TFLite reference kernel. */
#ifndef MOTEYE_DEPTHWISE_CONV_2D_S8_H
#define MOTEYE_DEPTHWISE_CONV_2D_S8_H

#include "window_2d.h"

int depthwise_conv_2d_s8(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);

/* depthwise_conv_2d_s8_check: the same refusals, without data; `quant` may be NULL to check the
 * shape only. */
int depthwise_conv_2d_s8_check(const window_2d_t *window, const channel_quant_t *quant);

/* depthwise_channels_s8: output channels [first, end) alone, plainly and without a check: what
 * kernels for one target fall back to. */
void depthwise_channels_s8(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, uint32_t first, uint32_t end, int8_t *output);

#endif
