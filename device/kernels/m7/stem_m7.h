/* stem_m7: windows of an RGB image under a 3x3 kernel at stride 2, with which most nets begin, for
 * tile_m7: each row of the image is widened once for all windows over it. Private to the runtime.
 *
 * A window is 9 halves of each kernel row, one behind the other; those of the middle one begin at
 * the upper half of a word, so that its first joins the last of the row above. Terms stand in their
 * order: (0, 1) and (2, 3) in a step's words. */
#ifndef MOTEYE_STEM_M7_H
#define MOTEYE_STEM_M7_H

#include "../window_2d.h"
#include "target_m7.h"

#if MOTEYE_M7

#define STEM_M7_SIDE 3

typedef struct {
    const window_2d_t *w;
    uint32_t *rows[STEM_M7_SIDE]; // doubled, the zero point taken off
    bool used;
} stem_m7_t;

/* stem_m7_lay_out: fills `stem`, its rows at the start of `scratch`; `used` is false for any other
 * convolution, and for an image too wide. Returns the words taken. */
uint32_t stem_m7_lay_out(const window_2d_t *w, uint32_t *scratch, stem_m7_t *stem);

/* stem_m7_row: to output row y. Rows are asked for in their order, from 0 on. */
void stem_m7_row(stem_m7_t *stem, const int8_t *input, uint32_t y);

/* stem_m7_weights: those of tile_m7_weights to the order of the windows' terms. */
void stem_m7_weights(uint32_t steps, uint32_t *weights);

/* stem_m7_window: column x of the row, 7 steps: 27 halves and one that meets a weight of zero. */
static inline void stem_m7_window(const stem_m7_t *stem, uint32_t x, uint32_t *out) {
    __asm__ volatile("ldmia %0, {r4, r5, r6, r8, r10}\n"
                     "strd r4, r5, [%3]\n"
                     "strd r6, r8, [%3, #16]\n"
                     "ldmia %1, {r4, r5, r6, r8, r9}\n"
                     "pkhbt r4, r10, r4\n"
                     "strd r4, r5, [%3, #32]\n"
                     "strd r6, r8, [%3, #48]\n"
                     "ldmia %2, {r4, r5, r6, r8, r10}\n"
                     "strd r9, r4, [%3, #64]\n"
                     "strd r5, r6, [%3, #80]\n"
                     "strd r8, r10, [%3, #96]\n"
        :
        : "r"(stem->rows[0] + 3 * x), "r"(stem->rows[1] + 3 * x), "r"(stem->rows[2] + 3 * x),
        "r"(out)
        : "r4", "r5", "r6", "r8", "r9", "r10", "memory");
}

#endif
#endif
