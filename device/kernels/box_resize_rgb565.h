/* box_resize_rgb565: box_resize (the same boxes, the same limits) of an image of 16-bit pixels.
 *   src  uint16[height][width], red in bits 15..11, green 10..5, blue 4..0
 *   dst  out, uint8[dst_height][dst_width][3], must not overlap src
 * The mean of a channel, scaled from its largest value m (31 or 63) to 255 and rounded half up:
 * (sum * 255 + n * m / 2) / (n * m), n pixels in the box. Needs boxes of at most 65,535 pixels.
 * Returns MOTEYE_OK, or MOTEYE_ERR_SHAPE with dst left as it was. Allocates nothing. */
#ifndef MOTEYE_BOX_RESIZE_RGB565_H
#define MOTEYE_BOX_RESIZE_RGB565_H

#include <stdint.h>

int box_resize_rgb565(const uint16_t *src, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height);

#endif
