/* planar_m7: depthwise inner loops on Cortex-M7: one channel's plane of halves, zero point taken
 * off and borders zero, four outputs at a time. Private to the runtime.
 *
 * A kernel row is 3, 5 or 7 taps wide; narrower ones are filled up with zero weights. Weights are
 * doubled halves in words (low, high): stride 1 has (0,1) (2,3) .. then (1,2) (3,4) ..; stride 2
 * has (0,1) (2,3) .. and the last tap alone. */
#ifndef MOTEYE_PLANAR_M7_H
#define MOTEYE_PLANAR_M7_H

#include "target_m7.h"

#if MOTEYE_M7

#define PLANAR_MAX_ROWS 7

// planar_m7.c reads the fields in this order.
typedef struct {
    int32_t bias[4];   // doubled, four times the same
    const void *entry; // from planar_m7_entry
    const void *end;   // from planar_m7_end
    m7_factor_t factor;
    uint32_t out_stride; // of a pixel, bytes
    int8_t *out;
    uint32_t back;          // rows of the kernel in bytes, less the advance of four outputs
    const uint8_t *row_end; // of the plane, where the first output row's last tile ends
    const uint32_t *weights;
    uint32_t row_advance;  // bytes from there to the start of the next row
    uint32_t row_end_step; // bytes from one row's end to the next one's
    uint32_t last;         // outputs of a row's last tile, 1 to 4
    uint32_t rows;         // output rows
    uint32_t row_stride;   // of the plane, bytes
    const uint8_t *plane;  // first input of the first output
} planar_m7_t;

typedef struct {
    uint32_t taps, stride; // 3, 5 or 7; 1 or 2
    const uint8_t *loop;   // code of the unrolled rows
    uint32_t row_code;     // bytes of code of one row
} planar_m7_kernel_t;

/* planar_m7_end: what becomes of four sums, for an output of that zero point. */
const void *planar_m7_end(int32_t zero_point);

/* planar_m7: all output rows of one channel. */
void planar_m7(const planar_m7_t *planar);

/* planar_m7_kernel: for rows of `taps` <= 7 taps at stride 1 or 2. */
const planar_m7_kernel_t *planar_m7_kernel(uint32_t taps, uint32_t stride);

static inline const void *planar_m7_entry(const planar_m7_kernel_t *kernel, uint32_t kernel_rows) {
    const uint8_t *code = kernel->loop + (PLANAR_MAX_ROWS - kernel_rows) * kernel->row_code;
    return (const void *)((uintptr_t)code | 1);
}

/* planar_m7_words: weight words of a kernel row. */
static inline uint32_t planar_m7_words(const planar_m7_kernel_t *kernel) {
    return kernel->stride == 1 ? kernel->taps - 1 : (kernel->taps + 1) / 2;
}

#endif
#endif
