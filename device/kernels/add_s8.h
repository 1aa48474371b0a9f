/* add_s8: element by element sum of two int8 tensors of one shape, each with its own quantisation.
 *   a, b, output  int8[count]; output may be a or b itself, but not overlap them otherwise
 * Both inputs are shifted left by left_shift, brought to a common scale by their factors (<= 1),
 * added and brought to the output's scale. Needs 1 <= count, 0 <= left_shift <= 20, every shift in
 * [-31, 0]. The struct is also the layout in a pack: 40 bytes. Returns MOTEYE_OK, MOTEYE_ERR_SHAPE
 * or MOTEYE_ERR_QUANT with output left as it was. Allocates nothing. Bit-exact with the TFLite
 * reference kernel. */
#ifndef MOTEYE_ADD_S8_H
#define MOTEYE_ADD_S8_H

#include "requantize.h"

typedef struct {
    uint32_t count;
    int32_t a_multiplier, b_multiplier, out_multiplier;
    int16_t a_shift, b_shift, out_shift, left_shift;
    int16_t a_zero_point, b_zero_point, out_zero_point;
    int16_t act_min, act_max;
    uint16_t reserved[3]; // 0
} add_t;

int add_s8(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output);

/* add_s8_check: the same refusals, without data. */
int add_s8_check(const add_t *shape);

#endif
