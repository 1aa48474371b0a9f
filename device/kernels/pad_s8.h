/* pad_s8: an int8 tensor put into a larger one, the border filled with one value.
 *   input   int8[in_h][in_w][in_c]
 *   output  int8[out_h][out_w][out_c], must not overlap the input
 * before_* is where the input starts in the output; it must fit. The struct is also the layout in a
 * pack: 20 bytes. Returns MOTEYE_OK or MOTEYE_ERR_SHAPE with output left as it was. Allocates
 * nothing. */
#ifndef MOTEYE_PAD_S8_H
#define MOTEYE_PAD_S8_H

#include <stdint.h>

typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t before_h, before_w, before_c;
    int16_t value; // [-128, 127]
} pad_t;

int pad_s8(const pad_t *shape, const int8_t *input, int8_t *output);

/* pad_s8_check: the same refusals, without data. */
int pad_s8_check(const pad_t *shape);

#endif
