/* match_prototypes_m55: match_prototypes (its header is the contract) on Helium: 32 entries of a row a
 * step. Always does all of it. */
#ifndef MOTEYE_MATCH_PROTOTYPES_M55_H
#define MOTEYE_MATCH_PROTOTYPES_M55_H

#include "../prototype_set.h"
#include "target_m55.h"

#if MOTEYE_M55
void match_prototypes_m55(const prototype_set_t *set, const int8_t *embedding, int16_t *margins);
#endif

#endif
