/* Frames scaled by box_resize_rgb565, compared with their expected pixels.
 *
 * A case: four words (width, height, dst_width, dst_height), uint16[height][width], then
 * uint8[dst_height][dst_width][3], each padded to 16 bytes; a width of 0 ends the list. */
#include <string.h>

#include "bare.h"
#include "box_resize_rgb565.h"
#include "cases.h"
#include "status.h"

#define OUT_BYTES (256 * 1024)

extern const uint8_t cases[];
static uint8_t out[OUT_BYTES];

int main(void) {
    const uint8_t *at = cases;
    uint32_t sides[4], number = 0;
    for (; case_words(&at, sides); number++) {
        const uint16_t *pixels = (const uint16_t *)(const void *)at;
        uint32_t bytes = sides[2] * sides[3] * 3;
        const uint8_t *expected = at + padded(2 * sides[0] * sides[1]);
        int status = box_resize_rgb565(pixels, sides[0], sides[1], out, sides[2], sides[3]);
        if (status != MOTEYE_OK || memcmp(out, expected, bytes) != 0) {
            bare_number("wrong", number);
        }
        at = expected + padded(bytes);
    }
    bare_number("cases", number);
    return 0;
}
