/* match_codebook: calibrated margins of one embedding against every row of a codebook set.
 *   set        as prototype_set_open filled it, with header.parts > 0
 *   embedding  int8[set->dim] at least, zero point 0
 *   table      scratch, int32[codebook_table_bytes(set) / 4]
 *   margins    out, int16[count]
 * table[m][j] = scale[m] * dot(codeword j of part m, the part's entries of the embedding), computed
 * once; then for row k, with n, c and the margin as in match_prototypes:
 *   a = sum over m of table[m][code[k][m]]              |a| < 2^30
 * Writes nothing else, allocates nothing, cannot fail. */
#ifndef MOTEYE_MATCH_CODEBOOK_H
#define MOTEYE_MATCH_CODEBOOK_H

#include "prototype_set.h"

#define CODEBOOK_WORDS 256

size_t codebook_table_bytes(const prototype_set_t *set);

void match_codebook(
    const prototype_set_t *set, const int8_t *embedding, int32_t *table, int16_t *margins);

#endif
