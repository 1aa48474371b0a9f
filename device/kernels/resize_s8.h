/* resize_s8: an int8 image between the pixels of another: RESIZE_BILINEAR, and RESIZE_NEAREST_NEIGHBOR
 * with weights of 0.
 *   input   int8[in_h][in_w][channels]      output  int8[out_h][out_w][channels], must not overlap
 *   places  resize_place_t[out_h], then [out_w]: the two rows or columns that each row or column of
 *           the output lies between, and the second one's weight in 1/1,024
 * A value is the sum of four products in Q20, rounded half away from zero. The struct is also the
 * layout in a pack: 12 bytes. Returns MOTEYE_OK, MOTEYE_ERR_SHAPE (a side, or a place outside the
 * input) or MOTEYE_ERR_QUANT (a weight beyond [0, 1,024]) with output left as it was. Allocates
 * nothing. Bit-exact with the TFLite reference kernels. */
#ifndef MOTEYE_RESIZE_S8_H
#define MOTEYE_RESIZE_S8_H

#include <stdint.h>

typedef struct {
    uint16_t in_h, in_w, channels, out_h, out_w;
    uint16_t reserved; // 0
} resize_t;

typedef struct {
    uint16_t first, second, weight;
} resize_place_t;

int resize_s8(
    const resize_t *shape, const resize_place_t *places, const int8_t *input, int8_t *output);

/* resize_s8_check: the same refusals, without data. */
int resize_s8_check(const resize_t *shape, const resize_place_t *places);

#endif
