/* mean_s8: mean of an int8 tensor over its middle axis.
 *   input  int8[outer][reduce][inner]      output  int8[outer][inner], must not overlap the input
 * The factor (multiplier, shift) holds the change of scale and 1 / reduce. Needs reduce <= 2^23, so
 * that no sum overflows. The struct is also the layout in a pack: 24 bytes. Returns MOTEYE_OK,
 * MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was. Allocates nothing; 256 bytes of
 * stack. Bit-exact with the TFLite reference kernel. */
#ifndef MOTEYE_MEAN_S8_H
#define MOTEYE_MEAN_S8_H

#include "requantize.h"

#define MEAN_MAX_REDUCE (1u << 23)

typedef struct {
    uint32_t outer, reduce, inner;
    int32_t multiplier;
    int16_t shift;
    int8_t in_zero_point, out_zero_point;
    uint32_t reserved; // 0
} mean_t;

int mean_s8(const mean_t *shape, const int8_t *input, int8_t *output);

/* mean_s8_check: the same refusals, without data. */
int mean_s8_check(const mean_t *shape);

#endif
