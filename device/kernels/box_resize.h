/* box_resize: an RGB888 or grey image to another size in RGB888, each output pixel the mean of the
 * box of pixels under it; a grey one has the same value three times.
 *   src  uint8[height][width][channels], 3 or 1 channels
 *   dst  out, uint8[dst_height][dst_width][3], must not overlap src
 * Columns of the box of x: [x*width / dst_width, max((x+1)*width / dst_width, that + 1)), rows
 * likewise; the mean of n values is (sum + n/2) / n, all integer. Enlarging therefore repeats
 * pixels. Needs 1 <= every side <= 65,535 and a box of at most 2^24 - 1 pixels, so that a sum fits
 * 32 bits. Returns MOTEYE_OK, or MOTEYE_ERR_SHAPE with dst left as it was. Allocates nothing. */
#ifndef MOTEYE_BOX_RESIZE_H
#define MOTEYE_BOX_RESIZE_H

#include <stdint.h>

int box_resize(const uint8_t *src, uint32_t channels, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height);

#endif
