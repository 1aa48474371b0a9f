/* find_boxes: what stands where, from the cells of an encoder that gives them (encode.h).
 *   set    as prototype_set_open filled it, of either format
 *   cells  int8[side][side][MOTEYE_CELL_BYTES], row by row: v[64], o, and the distances to the
 *          left, upper, right and lower edge in 1/128 of the picture (below 0 is 0)
 *   boxes  out, at most `most` <= MOTEYE_MAX_BOXES, best first, among equals the lower row first
 * Positions are 1/4096 of the picture's sides. For row k, with p the integers scale * code (or
 * scale * codeword) of its first d = min(64, set->dim) entries:
 *   n = isqrt(sum of p^2), rounded down                     n = 0: it has no box
 *   margin_q8 = clamp_int16((16 * (p . v) * (2^28 / n) >> 28) + 16 * o)
 * Cells from the set's report_q8 on are taken best first, among equals the first one; one whose box
 * overlaps one taken of this row by more than 9/20 of their union is the same thing. Divisions and
 * shifts of negative values round down. Returns how many boxes; writes nothing else. */
#ifndef MOTEYE_FIND_BOXES_H
#define MOTEYE_FIND_BOXES_H

#include "encode.h"
#include "prototype_set.h"

// As on the wire.
typedef struct {
    uint16_t row;
    int16_t margin_q8;
    uint16_t left, top, right, bottom;
} found_box_t;

uint32_t find_boxes(const prototype_set_t *set, const int8_t *cells, uint32_t side,
    found_box_t *boxes, uint32_t most);

#endif
