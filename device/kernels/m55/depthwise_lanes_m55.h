/* depthwise_lanes_m55: a depthwise convolution of 3x3 taps on Helium with 16 channels in the lanes: what
 * small pictures with many channels want. Private to the runtime. Returns false, with output
 * unspecified, for a window or weights that it does not do: another kernel, a depth multiplier,
 * dilation, rows of 16 outputs and more, a picture that does not fit the scratch, and what
 * depthwise_group_m55 refuses. */
#ifndef MOTEYE_DEPTHWISE_LANES_M55_H
#define MOTEYE_DEPTHWISE_LANES_M55_H

#include "../window_2d.h"
#include "target_m55.h"

#if MOTEYE_M55
/*   scratch  int8[bytes]: the input of 16 channels with its border, 16 bytes a pixel */
bool depthwise_lanes_m55(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *scratch, uint32_t bytes, int8_t *output);
#endif

#endif
