#include <stddef.h>

#include "box_resize_rgb565.h"
#include "box_span.h"
#include "m55/box_resize_rgb565_m55.h"
#include "status.h"

#define RED_BLUE 0xF81Fu
#define PACKED_PIXELS 64 // as many reds and blues as can be summed side by side: 64 * 31 < 2^11

typedef struct {
    uint32_t red, green, blue;
} sums_t;

// Sums of whole pixels and of their reds and blues; a difference of the two gives the greens.
typedef struct {
    uint32_t all, red_blue;
} packed_t;

// A row's run of n <= PACKED_PIXELS pixels. Inlined, so that a constant n gives no loop.
static inline packed_t add_run(packed_t sums, const uint16_t *pixels, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        sums.all += pixels[i];
        sums.red_blue += pixels[i] & RED_BLUE;
    }
    return sums;
}

static inline packed_t add_box(const uint16_t *from, uint32_t width, uint32_t rows, uint32_t n) {
    packed_t sums = {0, 0};
    for (; rows > 0; rows--, from += width) {
        sums = add_run(sums, from, n);
    }
    return sums;
}

static inline void unpack(packed_t packed, sums_t *sums) {
    sums->red += packed.red_blue >> 11;
    sums->blue += packed.red_blue & 0x7FFu;
    sums->green += (packed.all - packed.red_blue) >> 5;
}

static sums_t sum_large_box(const uint16_t *from, uint32_t width, uint32_t rows, uint32_t columns) {
    sums_t sums = {0, 0, 0};
    for (; rows > 0; rows--, from += width) {
        for (uint32_t x = 0; x < columns; x += PACKED_PIXELS) {
            uint32_t n = columns - x < PACKED_PIXELS ? columns - x : PACKED_PIXELS;
            unpack(add_run((packed_t){0, 0}, from + x, n), &sums);
        }
    }
    return sums;
}

// The usual widths of a box have loops of their own.
static inline sums_t sum_box(
    const uint16_t *from, uint32_t width, uint32_t rows, uint32_t columns) {
    sums_t sums = {0, 0, 0};
    switch (columns) {
        case 1: unpack(add_box(from, width, rows, 1), &sums); break;
        case 2: unpack(add_box(from, width, rows, 2), &sums); break;
        case 3: unpack(add_box(from, width, rows, 3), &sums); break;
        case 4: unpack(add_box(from, width, rows, 4), &sums); break;
        default: unpack(add_box(from, width, rows, columns), &sums); break;
    }
    return sums;
}

static inline uint8_t mean(uint32_t sum, uint32_t whole) {
    return (uint8_t)((sum * 255 + whole / 2) / whole);
}

int box_resize_rgb565(const uint16_t *src, uint32_t width, uint32_t height, uint8_t *dst,
    uint32_t dst_width, uint32_t dst_height) {
    if (!side_ok(width) || !side_ok(height) || !side_ok(dst_width) || !side_ok(dst_height) ||
        (uint64_t)(width / dst_width + 1) * (height / dst_height + 1) > 65535) {
        return MOTEYE_ERR_SHAPE;
    }
#if MOTEYE_M55
    if (box_resize_rgb565_m55(src, width, height, dst, dst_width, dst_height)) {
        return MOTEYE_OK;
    }
#endif
    for (uint32_t y = 0; y < dst_height; y++) {
        span_t rows = span_of(y, height, dst_height);
        const uint16_t *row = src + (size_t)rows.first * width;
        uint32_t row_count = rows.end - rows.first, next = 0;
        for (uint32_t x = 0; x < dst_width; x++) {
            uint32_t first = next;
            next = (x + 1) * width / dst_width;
            uint32_t column_count = next > first ? next - first : 1, n = row_count * column_count;
            sums_t sums = n <= PACKED_PIXELS
                              ? sum_box(row + first, width, row_count, column_count)
                              : sum_large_box(row + first, width, row_count, column_count);
            dst[0] = mean(sums.red, n * 31);
            dst[1] = mean(sums.green, n * 63);
            dst[2] = mean(sums.blue, n * 31);
            dst += 3;
        }
    }
    return MOTEYE_OK;
}
