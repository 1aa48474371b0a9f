/* taps_m55: the inner loop of the depthwise convolution on Helium: four outputs at a time from a
 * plane of bytes, each the product of gathered taps with one to four groups of 16 weights. Private
 * to the runtime. */
#ifndef MOTEYE_TAPS_M55_H
#define MOTEYE_TAPS_M55_H

#include "target_m55.h"

#if MOTEYE_M55

#define TAPS_MAX_GROUPS 4u

// taps_m55.c reads the fields at these places.
typedef struct {
    int8_t weights[TAPS_MAX_GROUPS][16];
    uint8_t offsets[16];     // of a group's taps in the plane
    uint32_t out_offsets[4]; // of four outputs
    int32_t zero_point;
    uint32_t stride;     // of the plane from output to output
    uint32_t group_step; // from the end of one group's four outputs to the next one's
    uint32_t out_step;   // of four outputs
    m55_factor_t factor;
    uint32_t back; // bytes of all groups but one
    const int8_t *plane;
    int8_t *out;
    uint32_t row_step, out_row;   // of plane and output from row to row
    uint32_t rows, vectors, rest; // vectors of four outputs a row, and what remains
} taps_m55_t;

/* taps_m55: all rows; changes plane, out and rows. 1 <= groups <= TAPS_MAX_GROUPS. */
void taps_m55(taps_m55_t *taps, uint32_t groups);

#endif
#endif
