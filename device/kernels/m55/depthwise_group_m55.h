/* depthwise_group_m55: what the depthwise convolutions with 16 channels in the lanes share. Private to the
 * runtime. */
#ifndef MOTEYE_DEPTHWISE_GROUP_M55_H
#define MOTEYE_DEPTHWISE_GROUP_M55_H

#include "../window_2d.h"
#include "target_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define LANES 16u

// Of 16 channels; lane j of vector k is channel 4 * j + k. Assembly reads them in this order.
typedef struct {
    int32_t bias[4][4], multiplier[4][4], shift[4][4];
} depthwise_group_m55_t;

/* depthwise_group_m55: channels [first, first + lanes).
 *   weights  out, int8[taps][16], zeros behind the lanes
 * The input's zero point is not in the bias. False, with *out unspecified, for a weight of -128 (two
 * products have to fit 16 bits) and for factors of 1/2 and more. */
bool depthwise_group_m55(const window_2d_t *window, const int8_t *filter,
    const channel_quant_t *quant, uint32_t first, uint32_t lanes, int8_t *weights,
    depthwise_group_m55_t *out);

// `n` pixels of the lanes that are active, `step` bytes apart, to neighbouring places.
static inline void copy_lanes(
    const int8_t *from, uint32_t step, uint32_t n, int8_t *to, uint32_t lanes) {
    __asm__ volatile("vctp.8 %[lanes]\n"
                     "dls lr, %[n]\n"
                     "1:\n"
                     "vpst\n"
                     "vldrbt.u8 q0, [%[from]]\n"
                     "add %[from], %[step]\n"
                     "vstrb.8 q0, [%[to]], #16\n"
                     "le lr, 1b\n"
        : [from] "+r"(from), [to] "+r"(to)
        : [n] "r"(n), [step] "r"(step), [lanes] "r"(lanes)
        : "lr", "q0", "memory");
}

// Sums of weights, even bytes and odd ones, as the sums of their products stand in a group.
static inline int32x4_t group_lanes(int16x8_t even, int16x8_t odd, uint32_t k) {
    int16x8_t half = k % 2 == 0 ? even : odd;
    return k < 2 ? vmovlbq_s16(half) : vmovltq_s16(half);
}

// Products of two taps, which fit 16 bits together, to the sums q0 to q3 (bytes 4j, 4j + 1, ...).
#define WIDEN_ADD                                                                                  \
    "vmovlb.s16 q5, q6\n"                                                                          \
    "vadd.i32 q0, q0, q5\n"                                                                        \
    "vmovlb.s16 q7, q4\n"                                                                          \
    "vadd.i32 q1, q1, q7\n"                                                                        \
    "vmovlt.s16 q5, q6\n"                                                                          \
    "vadd.i32 q2, q2, q5\n"                                                                        \
    "vmovlt.s16 q7, q4\n"                                                                          \
    "vadd.i32 q3, q3, q7\n"

// A sum to its rounded value, the zero point added; `group` holds the group, at `multiplier` and `shift`.
#define FINISH_SUM(q, group, multiplier, shift, zero_point)                                        \
    "vldrw.u32 q4, [" group ", " multiplier "]\n"                                                  \
    "vqrdmulh.s32 " q ", " q ", q4\n"                                                              \
    "vldrw.u32 q5, [" group ", " shift "]\n"                                                       \
    "vshr.s32 q6, " q ", #31\n"                                                                    \
    "vadd.i32 " q ", " q ", q6\n"                                                                  \
    "vrshl.s32 " q ", " q ", q5\n"                                                                 \
    "vadd.i32 " q ", " q ", " zero_point "\n"

// The four sums to 16 bytes in q0.
#define FINISH_LANES(group, zero_point)                                                            \
    FINISH_SUM("q0", group, "#64", "#128", zero_point)                                             \
    FINISH_SUM("q1", group, "#80", "#144", zero_point)                                             \
    FINISH_SUM("q2", group, "#96", "#160", zero_point)                                             \
    FINISH_SUM("q3", group, "#112", "#176", zero_point)                                            \
    "vqmovnb.s32 q0, q0\n"                                                                         \
    "vqmovnt.s32 q0, q2\n"                                                                         \
    "vqmovnb.s32 q1, q1\n"                                                                         \
    "vqmovnt.s32 q1, q3\n"                                                                         \
    "vqmovnb.s16 q0, q0\n"                                                                         \
    "vqmovnt.s16 q0, q1\n"

#endif
#endif
