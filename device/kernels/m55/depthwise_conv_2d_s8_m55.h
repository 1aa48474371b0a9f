/* depthwise_conv_2d_s8_m55: depthwise_conv_2d_s8 (its header is the contract) on Helium: a channel at
 * a time is spread into a plane of bytes on the stack, 12 KB; the taps of an output are gathered 16
 * at once and multiplied by one instruction. Returns false, with output left as it was, for what it
 * does not do: dilation, more than 64 taps, planes too large, factors of 1/2 and more. */
#ifndef MOTEYE_DEPTHWISE_CONV_2D_S8_M55_H
#define MOTEYE_DEPTHWISE_CONV_2D_S8_M55_H

#include "../window_2d.h"
#include "target_m55.h"

#if MOTEYE_M55
bool depthwise_conv_2d_s8_m55(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);
#endif

#endif
