/* depthwise_small_m55: a depthwise convolution of rows of at most six outputs on Helium, 16 channels in the
 * lanes; taps beyond the picture are left out, which are half and more of a large kernel's. Private to
 * the runtime. Returns false, with output unspecified, for what it does not do: wider rows, a depth
 * multiplier, dilation, more than 64 taps, a picture that does not fit the scratch, and what
 * depthwise_group_m55 refuses. */
#ifndef MOTEYE_DEPTHWISE_SMALL_M55_H
#define MOTEYE_DEPTHWISE_SMALL_M55_H

#include "../window_2d.h"
#include "target_m55.h"

#if MOTEYE_M55
/*   scratch  int8[bytes], aligned to 16: weights and input of 16 channels, 16 bytes a tap or pixel */
bool depthwise_small_m55(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *scratch, uint32_t bytes, int8_t *output);
#endif

#endif
