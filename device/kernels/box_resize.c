#include <stddef.h>

#include "box_resize.h"
#include "box_span.h"
#include "status.h"

static void mean_of_grey_box(
    const uint8_t *src, uint32_t width, span_t rows, span_t columns, uint8_t *out) {
    uint32_t sum = 0;
    for (uint32_t y = rows.first; y < rows.end; y++) {
        for (uint32_t x = columns.first; x < columns.end; x++) {
            sum += src[(size_t)y * width + x];
        }
    }
    uint32_t n = (rows.end - rows.first) * (columns.end - columns.first);
    out[0] = out[1] = out[2] = (uint8_t)((sum + n / 2) / n);
}

static void mean_of_box(
    const uint8_t *src, uint32_t width, span_t rows, span_t columns, uint8_t *out) {
    uint32_t r = 0, g = 0, b = 0;
    for (uint32_t y = rows.first; y < rows.end; y++) {
        const uint8_t *pixel = src + ((size_t)y * width + columns.first) * 3;
        for (uint32_t x = columns.first; x < columns.end; x++) {
            r += pixel[0];
            g += pixel[1];
            b += pixel[2];
            pixel += 3;
        }
    }
    uint32_t n = (rows.end - rows.first) * (columns.end - columns.first);
    out[0] = (uint8_t)((r + n / 2) / n);
    out[1] = (uint8_t)((g + n / 2) / n);
    out[2] = (uint8_t)((b + n / 2) / n);
}

int box_resize(const uint8_t *src, uint32_t channels, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height) {
    if ((channels != 3 && channels != 1) || !side_ok(width) || !side_ok(height) ||
        !side_ok(dst_width) || !side_ok(dst_height)) {
        return MOTEYE_ERR_SHAPE;
    }
    uint64_t largest_box = (uint64_t)(width / dst_width + 1) * (height / dst_height + 1);
    if (largest_box >= 1u << 24) {
        return MOTEYE_ERR_SHAPE;
    }
    for (uint32_t y = 0; y < dst_height; y++) {
        span_t rows = span_of(y, height, dst_height);
        for (uint32_t x = 0; x < dst_width; x++) {
            span_t columns = span_of(x, width, dst_width);
            if (channels == 1) {
                mean_of_grey_box(src, width, rows, columns, dst);
            } else {
                mean_of_box(src, width, rows, columns, dst);
            }
            dst += 3;
        }
    }
    return MOTEYE_OK;
}
