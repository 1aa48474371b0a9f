/* One match_prototypes and one frame preparation, counted, their outputs checked. */
#include <string.h>

#include "bare.h"
#include "box_resize_rgb565.h"
#include "encode.h"
#include "match_prototypes.h"
#include "status.h"

#define SIDE 96
#define FRAME_WIDTH 320
#define FRAME_HEIGHT 240

extern const uint8_t set_64[], set_64_end[], set_256[], set_256_end[], embedding[];
extern const uint8_t margins_64[], margins_64_end[], margins_256[], margins_256_end[];
extern const uint8_t frame[], tensor[], tensor_end[];
static int16_t margins[MOTEYE_MAX_ROWS];
static uint8_t small[SIDE * SIDE * 3] __attribute__((aligned(4)));

static int match(const char *name, const uint8_t *file, const uint8_t *file_end, uint32_t dim,
    const uint8_t *expected, const uint8_t *expected_end) {
    prototype_set_t set;
    const uint8_t *space = file + 8;
    if (prototype_set_open(file, (size_t)(file_end - file), space, dim, &set) != MOTEYE_OK) {
        return 0;
    }
    match_prototypes(&set, (const int8_t *)embedding, margins);
    uint32_t start = bare_ticks();
    match_prototypes(&set, (const int8_t *)embedding, margins);
    bare_number(name, bare_ticks_since(start));
    return memcmp(margins, expected, (size_t)(expected_end - expected)) == 0;
}

static int prepare(void) {
    const uint16_t *pixels = (const uint16_t *)(const void *)frame;
    uint32_t start = bare_ticks();
    box_resize_rgb565(pixels, FRAME_WIDTH, FRAME_HEIGHT, small, SIDE, SIDE);
    encode_centre(small, sizeof(small));
    bare_number("frame_320x240_rgb565", bare_ticks_since(start));
    return memcmp(small, tensor, (size_t)(tensor_end - tensor)) == 0;
}

int main(void) {
    int equal = match("match_100x64", set_64, set_64_end, 64, margins_64, margins_64_end);
    equal &= match("match_1000x256", set_256, set_256_end, 256, margins_256, margins_256_end);
    equal &= prepare();
    return equal ? 0 : 1;
}
