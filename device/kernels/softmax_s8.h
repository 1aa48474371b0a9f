/* softmax_s8: softmax over the last axis, int8 to int8 with scale 1/256 and zero point -128.
 *   input  int8[rows][depth]      output  int8[rows][depth]; may be the input itself
 * The factor (multiplier, left_shift) brings differences of inputs to 5 integer bits; differences
 * below diff_min count as nothing. Needs 1 <= depth <= 2,048 (the sum has 12 integer bits), 0 <=
 * left_shift <= 31, diff_min <= 0 and >= -(31 << (26 - left_shift)), below which the rescaled
 * difference would not fit. The struct is also the layout in a pack: 24 bytes. Returns MOTEYE_OK,
 * MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was. Allocates nothing. Bit-exact
 * with the TFLite reference kernel. */
#ifndef MOTEYE_SOFTMAX_S8_H
#define MOTEYE_SOFTMAX_S8_H

#include <stdint.h>

typedef struct {
    uint32_t rows, depth;
    int32_t multiplier;
    int32_t left_shift;
    int32_t diff_min;
    uint32_t reserved; // 0
} softmax_t;

int softmax_s8(const softmax_t *shape, const int8_t *input, int8_t *output);

/* softmax_s8_check: the same refusals, without data. */
int softmax_s8_check(const softmax_t *shape);

#endif
