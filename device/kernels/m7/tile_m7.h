/* tile_m7: the inner loops of the convolutions on Cortex-M7: a block of pixels, widened once, times
 * a pair of output channels. Private to the runtime.
 *
 * A step is 4 terms. Widened pixels: for each pair of pixels, for each step, four words: terms
 * (0, 2) and (1, 3) of the first pixel as halves, then of the second; each value doubled, the zero
 * point taken off, so that the sum is twice the accumulator, which is what smmulr wants. Widened
 * weights: for each step the same four words of the two channels. */
#ifndef MOTEYE_TILE_M7_H
#define MOTEYE_TILE_M7_H

#include "target_m7.h"

#if MOTEYE_M7

#define TILE_STEP_WORDS 4

// tile_m7.c reads the fields in this order.
typedef struct {
    int32_t bias[4]; // doubled, those of the two channels twice
    const uint32_t *weights;
    const uint32_t *entry; // from tile_m7_entry
    m7_factor_t factor[2];
    void *out;       // int8 of the first channel; int32[4] a pair of pixels if raw
    uint32_t stride; // of an output pixel, bytes
    const uint32_t *weights_end, *pixels_end, *pixels;
} tile_m7_t;

/* What becomes of the sums of two channels of every pixel: requantised and stored; the same for an
 * output whose zero point is -128; the doubled sums (pixel 0 channel 0, pixel 0 channel 1, pixel 1
 * ...) to `out`. */
typedef enum { TILE_M7_ROUNDED, TILE_M7_FLOORED, TILE_M7_RAW } tile_m7_way_t;

typedef struct {
    void (*run)(const tile_m7_t *tile);
    const uint8_t *loop; // code of the unrolled steps
} tile_m7_end_t;

tile_m7_end_t tile_m7_end(tile_m7_way_t way);

/* tile_m7_entry: where the loop over `steps` >= 1 steps begins. */
const uint32_t *tile_m7_entry(tile_m7_end_t end, uint32_t steps);

/* tile_m7_weights: two rows of `terms` weights, widened. */
void tile_m7_weights(const int8_t *row0, const int8_t *row1, uint32_t terms, uint32_t *out);

/* tile_m7_pixel: `steps` * 4 bytes of one pixel, widened; a step lies 4 words behind the last. */
void tile_m7_pixel(const int8_t *from, uint32_t steps, uint32_t twice_minus, uint32_t *out);

#endif
#endif
