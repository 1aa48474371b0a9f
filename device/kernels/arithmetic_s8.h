/* arithmetic_s8: a + b, a - b or a * b, element by element with broadcasting, each tensor with its own
 * quantisation; add_s8 is the faster one for the sum of two tensors of one shape.
 *   a, b    int8, dims of the output, those in *_repeats (bit k: dims[k]) being 1 there
 *   output  int8[dims[0]]…[dims[3]]; may be a or b itself where that does not repeat
 * Sums: inputs shifted left by left_shift, brought to a common scale by their factors (<= 1), added,
 * brought to the output's scale. Products: the output's factor alone; the rest is 0. Needs 1 <= dims,
 * left_shift <= 20, shifts of sums in [-31, 0]. The struct is also the layout in a pack: 44 bytes.
 * Returns MOTEYE_OK, MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was. Allocates
 * nothing. Bit-exact with the TFLite reference kernels. */
#ifndef MOTEYE_ARITHMETIC_S8_H
#define MOTEYE_ARITHMETIC_S8_H

#include "requantize.h"

enum { ARITHMETIC_ADD = 0, ARITHMETIC_SUB = 1, ARITHMETIC_MUL = 2 };

typedef struct {
    uint16_t dims[4];
    int32_t a_multiplier, b_multiplier, out_multiplier;
    int16_t a_shift, b_shift, out_shift, left_shift;
    int16_t a_zero_point, b_zero_point, out_zero_point;
    int16_t act_min, act_max;
    uint8_t function;
    uint8_t repeats;   // bits 0 to 3: of a; 4 to 7: of b
    uint16_t constant; // 1: a, 2: b stands in the pack; 0: both in the arena
    uint16_t reserved; // 0
} arithmetic_t;

int arithmetic_s8(const arithmetic_t *shape, const int8_t *a, const int8_t *b, int8_t *output);

/* arithmetic_s8_check: the same refusals, without data. */
int arithmetic_s8_check(const arithmetic_t *shape);

#endif
