/* fully_connected_s8_m7: fully_connected_s8 (its header is the contract) on Cortex-M7: a row of the
 * input is widened once, 4 KB of stack. Returns false, with output left as it was, for more than
 * 2,048 inputs. */
#ifndef MOTEYE_FULLY_CONNECTED_S8_M7_H
#define MOTEYE_FULLY_CONNECTED_S8_M7_H

#include "../fully_connected_s8.h"
#include "target_m7.h"

#if MOTEYE_M7
bool fully_connected_s8_m7(const fully_connected_t *shape, const int8_t *input,
    const int8_t *filter, const channel_quant_t *quant, int8_t *output);
#endif

#endif
