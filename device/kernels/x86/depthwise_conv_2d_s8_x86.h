/* depthwise_conv_2d_s8_x86: depthwise_conv_2d_s8 (its header is the contract) with AVX2, sixteen
 * channels at a time, taps in pairs. Returns false, with output left as it was, for what it does not
 * do: no AVX2, a depth multiplier, under 16 channels, more than 63 taps, a filter's zero point. */
#ifndef MOTEYE_DEPTHWISE_CONV_2D_S8_X86_H
#define MOTEYE_DEPTHWISE_CONV_2D_S8_X86_H

#include "../window_2d.h"
#include "target_x86.h"

#if MOTEYE_X86
bool depthwise_conv_2d_s8_x86(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);
#endif

#endif
