/* window_2d_gather: one window of a convolution as bytes, row by row of its kernel, the zero point where
 * there is no input. `copy` is how a processor copies a run of bytes; a constant, it costs no call. */
#ifndef MOTEYE_WINDOW_2D_GATHER_H
#define MOTEYE_WINDOW_2D_GATHER_H

#include <string.h>

#include "window_2d.h"

static inline __attribute__((always_inline)) void window_2d_gather(const window_2d_t *w,
    const window_place_t *place, const int8_t *input,
    void (*const copy)(int8_t *to, const int8_t *from, uint32_t n), int8_t *patch) {
    uint32_t c = w->in_c, row_terms = w->kernel_w * c;
    tap_range_t rows = place->rows, columns = place->columns;
    bool whole = rows.first == 0 && rows.end == w->kernel_h && columns.first == 0 &&
                 columns.end == w->kernel_w;
    if (!whole) {
        memset(patch, w->in_zero_point, w->kernel_h * row_terms);
        if (columns.first >= columns.end) {
            return;
        }
    }
    uint32_t run = w->dilation_w == 1 ? columns.end - columns.first : 1;
    for (uint32_t ky = rows.first; ky < rows.end; ky++) {
        for (uint32_t kx = columns.first; kx < columns.end; kx += run) {
            copy(patch + ky * row_terms + kx * c, window_2d_tap(w, place, input, ky, kx), run * c);
        }
    }
}

#endif
