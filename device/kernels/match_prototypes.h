/* match_prototypes: calibrated margins of one embedding against every row of a prototype set.
 *   set        of format 1, as prototype_set_open filled it; its dim chooses planes 0..P
 *   embedding  int8[set->dim] at least, zero point 0
 *   margins    out, int16[count]
 * For row k, with e the first dim entries and dot_p(k) its product with plane p:
 *   a = sum over p <= P of scale[p][k] * dot_p(k)       |a| < 2^27
 *   n = isqrt(sum of e^2), rounded down                 n = 0: every margin is -32768
 *   c = a * (2^24 / n) >> 12     about 4096 times the normalised product
 *   margin_q8 = clamp_int16((c * mult[P][k] >> shift[P]) + offset[P][k])
 * Shifts of negative values round down. Writes nothing else, allocates nothing, cannot fail. */
#ifndef MOTEYE_MATCH_PROTOTYPES_H
#define MOTEYE_MATCH_PROTOTYPES_H

#include "prototype_set.h"

void match_prototypes(const prototype_set_t *set, const int8_t *embedding, int16_t *margins);

#endif
