/* conv_2d_s8_m7: conv_2d_s8 (its header is the contract) on Cortex-M7: blocks of pixels are widened
 * to a scratch of 16 KB on the stack, then run through tile_m7. Returns false, with output left as
 * it was, for a convolution that it does not do: one output channel, or more than 1,024 terms. */
#ifndef MOTEYE_CONV_2D_S8_M7_H
#define MOTEYE_CONV_2D_S8_M7_H

#include "../window_2d.h"
#include "target_m7.h"

#if MOTEYE_M7
bool conv_2d_s8_m7(const window_2d_t *window, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);
#endif

#endif
