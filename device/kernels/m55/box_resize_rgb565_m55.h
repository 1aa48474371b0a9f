/* box_resize_rgb565_m55: box_resize_rgb565 (its header is the contract) on Helium: columns are summed
 * eight at a time, then means are made four at a time. Returns false, with output left as it was,
 * for rows of more than 640 pixels, more than 256 boxes a row, and boxes of more than 64 pixels. */
#ifndef MOTEYE_BOX_RESIZE_RGB565_M55_H
#define MOTEYE_BOX_RESIZE_RGB565_M55_H

#include "target_m55.h"

#if MOTEYE_M55
bool box_resize_rgb565_m55(const uint16_t *src, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height);
#endif

#endif
