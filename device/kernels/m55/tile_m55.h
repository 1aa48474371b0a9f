/* tile_m55: the inner loop of the convolutions on Helium: three pixels times two output channels,
 * 16 terms a step, the last step predicated. Private to the runtime. */
#ifndef MOTEYE_TILE_M55_H
#define MOTEYE_TILE_M55_H

#include "target_m55.h"

#if MOTEYE_M55

// tile_m55.c reads the fields at these places.
typedef struct {
    int32_t multiplier[4], shift[4]; // channel 0, 1, 0, 1
    uint32_t offsets[4];             // of the outputs of pixels 0 and 1 from `out`
    uint32_t last_offsets[4];        // of pixel 2, twice
    const int8_t *weights[2];
    int32_t bias[2];
    int32_t zero_point;
    int8_t *out;
    uint32_t terms;
    const int8_t *pixels;     // int8[...][terms]
    const int8_t *pixels_end; // a multiple of three pixels behind
    uint32_t out_step;        // of three output pixels (tile_m55_short: two), bytes
} tile_m55_t;

/* tile_m55: changes tile->out. */
void tile_m55(tile_m55_t *tile);

/* tile_m55_short: the same for terms <= 16, four pixels at a time (pixels_end is a multiple of four
 * behind). 16 bytes are read from each pixel on, and from each channel's weights, which end in
 * zeros. */
void tile_m55_short(tile_m55_t *tile);

#endif
#endif
