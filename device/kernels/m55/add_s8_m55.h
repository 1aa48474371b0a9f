/* add_s8_m55: add_s8 (its header is the contract) on Helium, four sums at a time. Always
 * true: it does all of them. */
#ifndef MOTEYE_ADD_S8_M55_H
#define MOTEYE_ADD_S8_M55_H

#include "../add_s8.h"
#include "target_m55.h"

#if MOTEYE_M55
bool add_s8_m55(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output);
#endif

#endif
