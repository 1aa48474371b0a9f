#include <stddef.h>

#include "depthwise_small_m55.h"
#include "depthwise_group_m55.h"

#if MOTEYE_M55

#define MAX_OUT_W 6u
#define MAX_TAPS 64u
#define MAX_SIDE 8u // of the kernel

// The taps of one output that count, in its row; bytes.
typedef struct {
    uint32_t plane, weights; // of the first one in a row of the plane and of the weights
    uint32_t left, right;    // of the first one and the one behind the last in row_t's `sums`
    uint32_t count;
} column_t;

// What the outputs of a row share; run_position reads the fields at these places.
typedef struct {
    depthwise_group_m55_t group;              // bias: without the zero point
    const int8_t *plane, *weights;            // the first rows that count
    uint32_t plane_row, weights_row;          // bytes from row to row
    uint32_t rows;                            // of taps that count
    int32_t minus;                            // the input's zero point, negative
    int32_t zero_point;                       // the output's
    uint32_t lanes;                           // active ones
    int16_t sums[MAX_SIDE + 1][2][LANES / 2]; // of the weights of `rows`, left of a column
} row_t;

_Static_assert(offsetof(column_t, left) == 8 && offsetof(column_t, count) == 16 &&
                   offsetof(row_t, plane) == 192 && offsetof(row_t, plane_row) == 200 &&
                   offsetof(row_t, rows) == 208 && offsetof(row_t, zero_point) == 216 &&
                   offsetof(row_t, sums) == 224,
    "layout that the assembly below reads");

typedef struct {
    const window_2d_t *w;
    int8_t *plane, *weights; // [in_h * in_w][16], [taps][16]
    int16_t *sums;           // [kernel_h + 1][kernel_w + 1][16]: of weights above and to the left
    column_t columns[MAX_OUT_W];
    row_t row;
} plan_t;

// q += half of the sums, times r6.
#define ADD_ZERO_POINT(q, half, sums, bias)                                                        \
    "vmovl" half ".s16 q6, " sums "\n"                                                             \
    "vldrw.u32 " q ", [r0, " bias "]\n"                                                            \
    "vmla.s32 " q ", q6, r6\n"

// Two rows of taps at a time, for their products fit 16 bits together, and a last one alone.
__attribute__((naked)) static void run_position(const row_t *row __attribute__((unused)),
    const column_t *column __attribute__((unused)), int8_t *out __attribute__((unused))) {
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r10, lr}\n"
        "vpush {d8-d15}\n"
        "ldrd r3, r4, [r1, #8]\n"
        "add r5, r0, #224\n"
        "add r3, r5\n"
        "add r4, r5\n"
        "vldrh.u16 q4, [r4]\n"
        "vldrh.u16 q5, [r3]\n"
        "vsub.i16 q4, q4, q5\n"
        "vldrh.u16 q5, [r4, #16]\n"
        "vldrh.u16 q6, [r3, #16]\n"
        "vsub.i16 q5, q5, q6\n"
        "ldrd r8, r6, [r0, #208]\n" ADD_ZERO_POINT("q0", "b", "q4", "#0") ADD_ZERO_POINT(
            "q1", "b", "q5", "#16") ADD_ZERO_POINT("q2", "t", "q4", "#32") ADD_ZERO_POINT("q3", "t",
            "q5", "#48") "ldr r7, [r1, #16]\n"
                         "ldrd r4, r6, [r1]\n"
                         "ldrd r1, r3, [r0, #192]\n"
                         "add r1, r4\n"
                         "add r3, r6\n"
                         "ldrd r5, r6, [r0, #200]\n"
                         "add r10, r1, r5\n"
                         "add r4, r3, r6\n"
                         "lsl r9, r7, #4\n"
                         "rsb r5, r9, r5, lsl #1\n"
                         "rsb r6, r9, r6, lsl #1\n"
                         "subs r8, #2\n"
                         "blt 4f\n"
                         "1:\n"
                         "wls lr, r7, 3f\n"
                         "2:\n"
                         "vldrb.u8 q4, [r1], #16\n"
                         "vldrb.u8 q5, [r3], #16\n"
                         "vmullb.s8 q6, q4, q5\n"
                         "vmullt.s8 q4, q4, q5\n"
                         "vldrb.u8 q5, [r10]\n"
                         "vldrb.u8 q7, [r4], #16\n"
                         "vmullb.s8 q5, q5, q7\n"
                         "vadd.i16 q6, q6, q5\n"
                         "vldrb.u8 q5, [r10], #16\n"
                         "vmullt.s8 q5, q5, q7\n"
                         "vadd.i16 q4, q4, q5\n" WIDEN_ADD "le lr, 2b\n"
                         "3:\n"
                         "add r1, r5\n"
                         "add r10, r5\n"
                         "add r3, r6\n"
                         "add r4, r6\n"
                         "subs r8, #2\n"
                         "bge 1b\n"
                         "4:\n"
                         "adds r8, #2\n"
                         "beq 6f\n"
                         "wls lr, r7, 6f\n"
                         "5:\n"
                         "vldrb.u8 q4, [r1], #16\n"
                         "vldrb.u8 q5, [r3], #16\n"
                         "vmullb.s8 q6, q4, q5\n"
                         "vmullt.s8 q4, q4, q5\n" WIDEN_ADD "le lr, 5b\n"
                         "6:\n"
                         "ldrd r1, r3, [r0, #216]\n" FINISH_LANES("r0", "r1") "vctp.8 r3\n"
                                                                              "vpst\n"
                                                                              "vstrbt.8 q0, [r2]\n"
                                                                              "vpop {d8-d15}\n"
                                                                              "pop {r4-r10, pc}\n");
}

static int8_t *take(int8_t **at, uint32_t bytes) {
    int8_t *start = *at;
    *at += bytes;
    return start;
}

static column_t column_of(const window_2d_t *w, uint32_t x) {
    int32_t left = (int32_t)(x * w->stride_w) - w->pad_left;
    tap_range_t taps = taps_inside(left, w->kernel_w, 1, w->in_w);
    if (taps.end <= taps.first) {
        return (column_t){0};
    }
    return (column_t){(uint32_t)(left + (int32_t)taps.first) * LANES, taps.first * LANES,
        taps.first * LANES * 2, taps.end * LANES * 2, taps.end - taps.first};
}

static bool make_plan(const window_2d_t *w, int8_t *scratch, uint32_t bytes, plan_t *p) {
    const uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w;
    const uint32_t pixels = (uint32_t)w->in_h * w->in_w;
    const uint32_t sums = (w->kernel_h + 1u) * (w->kernel_w + 1u) * LANES * 2;
    if (w->out_w > MAX_OUT_W || w->depth_multiplier != 1 || w->dilation_h != 1 ||
        w->dilation_w != 1 || taps > MAX_TAPS || w->kernel_w > MAX_SIDE || pixels > bytes / LANES ||
        (pixels + taps) * LANES + sums > bytes) {
        return false;
    }
    p->w = w;
    p->plane = take(&scratch, pixels * LANES);
    p->weights = take(&scratch, taps * LANES);
    p->sums = (int16_t *)(void *)scratch;
    p->row.plane_row = w->in_w * LANES;
    p->row.weights_row = w->kernel_w * LANES;
    p->row.minus = -w->in_zero_point;
    p->row.zero_point = w->out_zero_point;
    for (uint32_t x = 0; x < w->out_w; x++) {
        p->columns[x] = column_of(w, x);
    }
    return true;
}

// sums[y][x]: of the weights of rows above y and columns before x.
static void add_up(const plan_t *p) {
    const uint32_t columns = p->w->kernel_w, step = (columns + 1) * LANES;
    const int16x8_t zero = vdupq_n_s16(0);
    const int8_t *weights = p->weights;
    for (uint32_t i = 0; i < step; i += 8) {
        vstrhq_s16(p->sums + i, zero);
    }
    for (uint32_t y = 0; y < p->w->kernel_h; y++) {
        int16_t *at = p->sums + (y + 1) * step;
        int16x8_t even = zero, odd = zero;
        vstrhq_s16(at, zero);
        vstrhq_s16(at + 8, zero);
        for (uint32_t x = columns; x > 0; x--, weights += LANES) {
            at += LANES;
            int8x16_t w = vldrbq_s8(weights);
            even = vaddq_s16(even, vmovlbq_s8(w));
            odd = vaddq_s16(odd, vmovltq_s8(w));
            vstrhq_s16(at, vaddq_s16(even, vldrhq_s16(at - step)));
            vstrhq_s16(at + 8, vaddq_s16(odd, vldrhq_s16(at - step + 8)));
        }
    }
}

// The rows of taps that count for a row of outputs.
static void set_row(plan_t *p, uint32_t y) {
    const window_2d_t *w = p->w;
    const uint32_t step = (w->kernel_w + 1u) * LANES;
    int32_t top = (int32_t)(y * w->stride_h) - w->pad_top;
    tap_range_t taps = taps_inside(top, w->kernel_h, 1, w->in_h);
    if (taps.end <= taps.first) {
        taps = (tap_range_t){0, 0};
        top = 0;
    }
    p->row.rows = taps.end - taps.first;
    p->row.plane = p->plane + (uint32_t)(top + (int32_t)taps.first) * p->row.plane_row;
    p->row.weights = p->weights + taps.first * p->row.weights_row;
    const int16_t *above = p->sums + taps.first * step, *below = p->sums + taps.end * step;
    int16_t *to = p->row.sums[0][0];
    for (uint32_t i = 0; i < step; i += 8) {
        vstrhq_s16(to + i, vsubq_s16(vldrhq_s16(below + i), vldrhq_s16(above + i)));
    }
}

bool depthwise_small_m55(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *scratch, uint32_t bytes, int8_t *output) {
    plan_t p;
    if (!make_plan(w, scratch, bytes, &p)) {
        return false;
    }
    for (uint32_t c = 0; c < w->out_c; c += LANES) {
        uint32_t lanes = w->out_c - c < LANES ? w->out_c - c : LANES;
        if (!depthwise_group_m55(w, filter, quant, c, lanes, p.weights, &p.row.group)) {
            return false;
        }
        add_up(&p);
        copy_lanes(input + c, w->in_c, (uint32_t)w->in_h * w->in_w, p.plane, lanes);
        p.row.lanes = lanes;
        int8_t *out = output + c;
        for (uint32_t y = 0; y < w->out_h; y++) {
            set_row(&p, y);
            for (uint32_t x = 0; x < w->out_w; x++, out += w->out_c) {
                run_position(&p.row, &p.columns[x], out);
            }
        }
    }
    m55_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
