/* add_s8_m7: add_s8 (its header is the contract) on Cortex-M7, through a table of 256 rescaled values
 * an input, 2 KB of stack. Returns false, with output left as it was, for short tensors and for
 * output factors that the fast requantisation does not fit. */
#ifndef MOTEYE_ADD_S8_M7_H
#define MOTEYE_ADD_S8_M7_H

#include "../add_s8.h"
#include "target_m7.h"

#if MOTEYE_M7
bool add_s8_m7(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output);
#endif

#endif
