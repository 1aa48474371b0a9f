/* adaptive_pool_s8: averages to a size that need not divide the input's, or is larger, int8 to int8 of one
 * quantisation: what brings a context map to the map that it modulates (GSM).
 *   input  int8[in_h][in_w][channels]      output  int8[out_h][out_w][channels]
 * Output row y is the mean of input rows [floor(y in_h / out_h), ceil((y + 1) in_h / out_h)), columns
 * likewise, rounded half away from zero. The struct is also the layout in a pack: 12 bytes. Needs every
 * side >= 1 and at most 32,768 values a mean. Returns MOTEYE_OK or MOTEYE_ERR_SHAPE with output left as
 * it was. Allocates nothing. */
#ifndef MOTEYE_ADAPTIVE_POOL_S8_H
#define MOTEYE_ADAPTIVE_POOL_S8_H

#include <stdint.h>

typedef struct {
    uint16_t in_h, in_w, out_h, out_w;
    uint16_t channels;
    uint16_t reserved; // 0
} adaptive_pool_t;

int adaptive_pool_s8(const adaptive_pool_t *shape, const int8_t *input, int8_t *output);

/* adaptive_pool_s8_check: the same refusals, without data. */
int adaptive_pool_s8_check(const adaptive_pool_t *shape);

#endif
