/* conv_2d_s8_m55: conv_2d_s8 (its header is the contract) on Helium: windows are gathered to a
 * scratch of 8 KB on the stack (1x1 convolutions read the input in place), then run through
 * tile_m55. Returns false, with output left as it was, for a convolution that it does not do: one
 * output channel, under three output pixels, more than 2,048 terms, factors of 1/2 and more. */
#ifndef MOTEYE_CONV_2D_S8_M55_H
#define MOTEYE_CONV_2D_S8_M55_H

#include "../window_2d.h"
#include "target_m55.h"

#if MOTEYE_M55
bool conv_2d_s8_m55(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);
#endif

#endif
