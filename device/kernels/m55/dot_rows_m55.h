/* dot_rows_m55: four rows against one vector on Helium, 16 terms a step. Private to the runtime. */
#ifndef MOTEYE_DOT_ROWS_M55_H
#define MOTEYE_DOT_ROWS_M55_H

#include "target_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

// x int8[n]; rows int8[4][n]; 1 <= n <= 65,535.
static inline int32x4_t m55_dot_rows(const int8_t *x, const int8_t *rows, uint32_t n) {
    const int8_t *row1 = rows + n, *row2 = row1 + n, *row3 = row2 + n;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    __asm__("dlstp.8 lr, %[n]\n"
            "1:\n"
            "vldrb.u8 q0, [%[x]], #16\n"
            "vldrb.u8 q1, [%[row0]], #16\n"
            "vmladava.s8 %[sum0], q0, q1\n"
            "vldrb.u8 q1, [%[row1]], #16\n"
            "vmladava.s8 %[sum1], q0, q1\n"
            "vldrb.u8 q1, [%[row2]], #16\n"
            "vmladava.s8 %[sum2], q0, q1\n"
            "vldrb.u8 q1, [%[row3]], #16\n"
            "vmladava.s8 %[sum3], q0, q1\n"
            "letp lr, 1b\n"
        : [x] "+r"(x), [row0] "+r"(rows), [row1] "+r"(row1), [row2] "+r"(row2), [row3] "+r"(row3),
        [sum0] "+Te"(sum0), [sum1] "+Te"(sum1), [sum2] "+Te"(sum2), [sum3] "+Te"(sum3)
        : [n] "r"(n)
        : "lr", "q0", "q1", "memory");
    int32x4_t sums = vdupq_n_s32(sum0);
    sums = vsetq_lane_s32(sum1, sums, 1);
    sums = vsetq_lane_s32(sum2, sums, 2);
    return vsetq_lane_s32(sum3, sums, 3);
}

#endif
#endif
