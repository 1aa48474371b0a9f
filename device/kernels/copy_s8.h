/* copy_s8: int8 values from places in one tensor to places in another, four nested loops: what
 * CONCATENATION, SPLIT, STRIDED_SLICE, TRANSPOSE and their like come down to.
 *   output[to_start + Σ i_k * to_step[k]] = input[from_start + Σ i_k * from_step[k]],
 *   0 <= i_k < dims[k], the last k fastest
 *   input, output  must not overlap
 * Needs 1 <= dims <= 2^24, their product < 2^32, and no place below 0. The struct is also the layout
 * in a pack: 56 bytes. Returns MOTEYE_OK or MOTEYE_ERR_SHAPE with output left as it was. Allocates
 * nothing. */
#ifndef MOTEYE_COPY_S8_H
#define MOTEYE_COPY_S8_H

#include <stdint.h>

typedef struct {
    uint32_t dims[4];
    int32_t from_step[4], to_step[4];
    uint32_t from_start, to_start;
} copy_t;

int copy_s8(const copy_t *shape, const int8_t *input, int8_t *output);

/* copy_s8_check: the same refusals, without data; from_bytes and to_bytes, unless NULL, are how far
 * into input and output it reaches. */
int copy_s8_check(const copy_t *shape, uint64_t *from_bytes, uint64_t *to_bytes);

#endif
