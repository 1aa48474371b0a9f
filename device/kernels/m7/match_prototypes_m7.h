/* match_prototypes_m7: match_prototypes (its header is the contract) on Cortex-M7, 1.2 KB of stack.
 * Returns false, with margins left as they were, for an embedding of zeros and for a margin shift
 * outside 14..32. */
#ifndef MOTEYE_MATCH_PROTOTYPES_M7_H
#define MOTEYE_MATCH_PROTOTYPES_M7_H

#include "../match_prototypes.h"
#include "target_m7.h"

#if MOTEYE_M7
bool match_prototypes_m7(const prototype_set_t *set, const int8_t *embedding, int16_t *margins);
#endif

#endif
