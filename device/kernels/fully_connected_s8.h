/* fully_connected_s8: rows of int8 times a weight matrix, per-channel quantised (per-tensor = equal
 * entries).
 *   input   int8[rows][in_n]      filter  int8[out_n][in_n], zero point 0
 *   quant   bias, multiplier and shift, out_n each
 *   output  int8[rows][out_n], must not overlap the input
 * Needs 1 <= in_n <= 65,535, 1 <= rows, out_n <= 65,535. The struct is also the layout in a pack:
 * 24 bytes. Returns MOTEYE_OK, MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with output left as it was.
 * Allocates nothing. Bit-exact with the TFLite reference kernel. */
#ifndef MOTEYE_FULLY_CONNECTED_S8_H
#define MOTEYE_FULLY_CONNECTED_S8_H

#include "requantize.h"

typedef struct {
    uint32_t rows, in_n, out_n;
    int16_t in_zero_point, out_zero_point;
    int16_t act_min, act_max;
    int16_t filter_zero_point; // of models converted from uint8, else 0; then in_n <= 32,767
    uint16_t reserved;         // 0
} fully_connected_t;

int fully_connected_s8(const fully_connected_t *shape, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output);

/* fully_connected_s8_check: the same refusals, without data; `quant` may be NULL to check the shape
 * only. */
int fully_connected_s8_check(const fully_connected_t *shape, const channel_quant_t *quant);

#endif
