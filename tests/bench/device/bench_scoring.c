/* Matches and frame preparations, counted, their outputs checked. */
#include <stdbool.h>
#include <string.h>

#include "bare.h"
#include "box_resize.h"
#include "box_resize_rgb565.h"
#include "encode.h"
#include "match_prototypes.h"
#include "status.h"

#define SIDE 96

/* Sets of as many rows as their name says. Behind each other, in `margins_N`: int16[rows] of each
 * dimension. Frames of two sizes; `tensor_N`: int8[SIDE][SIDE][3] of each format. */
extern const uint8_t set_1[], set_1_end[], set_10[], set_10_end[], set_100[], set_100_end[],
    set_1000[], set_1000_end[], embedding[];
extern const uint8_t margins_1[], margins_10[], margins_100[], margins_1000[];
extern const uint8_t rgb565_160[], rgb888_160[], grey_160[], tensor_160[];
extern const uint8_t rgb565_320[], rgb888_320[], grey_320[], tensor_320[];

static const uint32_t dims[] = {16, 32, 64, 128, 256};
static int16_t margins[MOTEYE_MAX_ROWS];
static uint8_t small[SIDE * SIDE * 3] __attribute__((aligned(4)));

static bool match(
    const char *name, const uint8_t *file, const uint8_t *file_end, const uint8_t *expected) {
    for (uint32_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        prototype_set_t set;
        const uint8_t *space = file + 8;
        size_t bytes = (size_t)(file_end - file);
        if (prototype_set_open(file, bytes, space, dims[i], &set) != MOTEYE_OK) {
            return false;
        }
        match_prototypes(&set, (const int8_t *)embedding, margins);
        uint32_t start = bare_ticks();
        match_prototypes(&set, (const int8_t *)embedding, margins);
        bare_number(name, bare_ticks_since(start));
        size_t margins_bytes = set.header.count * sizeof(margins[0]);
        if (memcmp(margins, expected, margins_bytes) != 0) {
            return false;
        }
        expected += margins_bytes;
    }
    return true;
}

static bool prepare(const char *name, const uint8_t *frame, frame_format_t format, uint32_t width,
    const uint8_t *tensors) {
    uint32_t height = width * 3 / 4;
    uint32_t start = bare_ticks();
    if (format == FRAME_RGB565) {
        const uint16_t *pixels = (const uint16_t *)(const void *)frame;
        box_resize_rgb565(pixels, width, height, small, SIDE, SIDE);
    } else {
        box_resize(frame, format == FRAME_GREY ? 1 : 3, width, height, small, SIDE, SIDE);
    }
    encode_centre(small, sizeof(small));
    bare_number(name, bare_ticks_since(start));
    return memcmp(small, tensors + (size_t)format * sizeof(small), sizeof(small)) == 0;
}

int main(void) {
    bool equal = match("match_1", set_1, set_1_end, margins_1) &&
                 match("match_10", set_10, set_10_end, margins_10) &&
                 match("match_100", set_100, set_100_end, margins_100) &&
                 match("match_1000", set_1000, set_1000_end, margins_1000) &&
                 prepare("frame_160x120_rgb565", rgb565_160, FRAME_RGB565, 160, tensor_160) &&
                 prepare("frame_160x120_rgb888", rgb888_160, FRAME_RGB888, 160, tensor_160) &&
                 prepare("frame_160x120_grey", grey_160, FRAME_GREY, 160, tensor_160) &&
                 prepare("frame_320x240_rgb565", rgb565_320, FRAME_RGB565, 320, tensor_320) &&
                 prepare("frame_320x240_rgb888", rgb888_320, FRAME_RGB888, 320, tensor_320) &&
                 prepare("frame_320x240_grey", grey_320, FRAME_GREY, 320, tensor_320);
    return equal ? 0 : 1;
}
