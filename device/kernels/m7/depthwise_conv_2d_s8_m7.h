/* depthwise_conv_2d_s8_m7: depthwise_conv_2d_s8 (its header is the contract) on Cortex-M7: four
 * channels at a time are spread into planes of halves in 16 KB of stack, a band of rows after the
 * other, then run through planar_m7. Returns false, with output left as it was, for what it does not
 * do: strides other than (1, 1) and (2, 2), dilation, more than 7 taps a side that meet input, and
 * images too wide. */
#ifndef MOTEYE_DEPTHWISE_CONV_2D_S8_M7_H
#define MOTEYE_DEPTHWISE_CONV_2D_S8_M7_H

#include "../window_2d.h"
#include "target_m7.h"

#if MOTEYE_M7
bool depthwise_conv_2d_s8_m7(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);
#endif

#endif
