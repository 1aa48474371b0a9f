/* transpose_s8: axes of an int8 tensor reordered.
 *   input   int8[dims[0]][dims[1]][dims[2]][dims[3]]
 *   output  the same bytes with axis i = input axis axes[i]; must not overlap the input
 * Lower ranks have leading dims of 1. The struct is also the layout in a pack: 12 bytes.
 * Returns MOTEYE_OK or MOTEYE_ERR_SHAPE with output left as it was. Allocates nothing. */
#ifndef MOTEYE_TRANSPOSE_S8_H
#define MOTEYE_TRANSPOSE_S8_H

#include <stdint.h>

typedef struct {
    uint16_t dims[4]; // of the input
    uint8_t axes[4];  // a permutation of 0..3
} transpose_t;

int transpose_s8(const transpose_t *shape, const int8_t *input, int8_t *output);

/* transpose_s8_check: the same refusals, without data. */
int transpose_s8_check(const transpose_t *shape);

#endif
