/* codebook_layout: where the parts of a format 2 prototype set lie (prototype_set.h has the layout).
 * Needs a checked header and set->file; fills set->codebook. Returns where the rows end, from the
 * start of the file; 0 where the widths do not add up to `dim` or the file is too short. */
#ifndef MOTEYE_CODEBOOK_LAYOUT_H
#define MOTEYE_CODEBOOK_LAYOUT_H

#include "prototype_set.h"

uint64_t codebook_layout(prototype_set_t *set, uint32_t dim);

#endif
