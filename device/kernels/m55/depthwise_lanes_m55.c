#include <string.h>

#include "depthwise_lanes_m55.h"
#include "depthwise_group_m55.h"

#if MOTEYE_M55

#define TAPS 9u
#define MAX_OUT_W 16u

typedef struct {
    depthwise_group_m55_t factors;
    int8_t weights[TAPS][LANES];
} group_t;

typedef struct {
    const window_2d_t *w;
    uint32_t columns, rows; // of the plane
    int8_t *plane;
} plan_t;

static bool make_plan(const window_2d_t *w, int8_t *scratch, uint32_t bytes, plan_t *p) {
    if (w->kernel_h != 3 || w->kernel_w != 3 || w->depth_multiplier != 1 || w->dilation_h != 1 ||
        w->dilation_w != 1 || w->out_w >= MAX_OUT_W || w->stride_h > 3 || w->stride_w > 3) {
        return false;
    }
    p->w = w;
    p->plane = scratch;
    p->columns = (w->out_w - 1u) * w->stride_w + 3;
    p->rows = (w->out_h - 1u) * w->stride_h + 3;
    return p->rows <= bytes && p->columns * p->rows * LANES <= bytes;
}

// The input of some channels to the plane, whose border holds the zero point already.
static void fill_plane(const plan_t *p, const int8_t *input, uint32_t lanes) {
    const window_2d_t *w = p->w;
    uint32_t rows = p->rows < w->pad_top ? 0 : p->rows - w->pad_top;
    uint32_t columns = p->columns < w->pad_left ? 0 : p->columns - w->pad_left;
    rows = rows < w->in_h ? rows : w->in_h;
    columns = columns < w->in_w ? columns : w->in_w;
    int8_t *to = p->plane + (w->pad_top * p->columns + w->pad_left) * LANES;
    for (uint32_t y = 0; y < rows && columns > 0; y++, to += p->columns * LANES) {
        copy_lanes(input + y * w->in_w * w->in_c, w->in_c, columns, to, lanes);
    }
}

// The sums of the weights of a group, times the input's zero point, come off the bias.
static void fold_zero_point(group_t *g, int32_t zero_point) {
    int16x8_t even = vdupq_n_s16(0), odd = vdupq_n_s16(0);
    for (uint32_t t = 0; t < TAPS; t++) {
        int8x16_t w = vldrbq_s8(g->weights[t]);
        even = vaddq_s16(even, vmovlbq_s8(w));
        odd = vaddq_s16(odd, vmovltq_s8(w));
    }
    for (uint32_t k = 0; k < 4; k++) {
        int32x4_t off = vmulq_n_s32(group_lanes(even, odd, k), zero_point);
        vstrwq_s32(g->factors.bias[k], vsubq_s32(vldrwq_s32(g->factors.bias[k]), off));
    }
}

#define ONE(x, weights)                                                                            \
    "vldrb.u8 q4, [" x "]\n"                                                                       \
    "vldrb.u8 q5, [%[weights], " weights "]\n"                                                     \
    "vmullb.s8 q6, q4, q5\n"                                                                       \
    "vmullt.s8 q4, q4, q5\n"

#define TWO(x, x_weights, y, y_weights)                                                            \
    ONE(x, x_weights)                                                                              \
    "vldrb.u8 q5, [" y "]\n"                                                                       \
    "vldrb.u8 q7, [%[weights], " y_weights "]\n"                                                   \
    "vmullb.s8 q5, q5, q7\n"                                                                       \
    "vadd.i16 q6, q6, q5\n"                                                                        \
    "vldrb.u8 q5, [" y "]\n"                                                                       \
    "vmullt.s8 q5, q5, q7\n"                                                                       \
    "vadd.i16 q4, q4, q5\n" WIDEN_ADD

// One row of outputs; `out` is their first byte of these channels. Within its caller the operands
// would be more than there are registers, at -O3.
__attribute__((noinline)) static void run_row(
    const plan_t *p, const group_t *g, const int8_t *row0, uint32_t lanes, int8_t *out) {
    const window_2d_t *w = p->w;
    const int8_t *row1 = row0 + p->columns * LANES, *row2 = row1 + p->columns * LANES;
    __asm__ volatile(
        "vctp.8 %[lanes]\n"
        "dls lr, %[n]\n"
        "1:\n"
        "vldrw.u32 q0, [%[group]]\n"
        "vldrw.u32 q1, [%[group], #16]\n"
        "vldrw.u32 q2, [%[group], #32]\n"
        "vldrw.u32 q3, [%[group], #48]\n" TWO("%[row0]", "#-64", "%[row0], #16", "#-48")
            TWO("%[row0], #32", "#-32", "%[row1]", "#-16") TWO("%[row1], #16", "#0", "%[row1], #32",
                "#16") TWO("%[row2]", "#32", "%[row2], #16", "#48") ONE("%[row2], #32", "#64")
                WIDEN_ADD FINISH_LANES("%[group]", "%[zero_point]") "vpst\n"
                                                                    "vstrbt.8 q0, [%[out]]\n"
                                                                    "add %[out], %[out_step]\n"
                                                                    "add %[row0], %[step]\n"
                                                                    "add %[row1], %[step]\n"
                                                                    "add %[row2], %[step]\n"
                                                                    "le lr, 1b\n"
        : [row0] "+r"(row0), [row1] "+r"(row1), [row2] "+r"(row2), [out] "+r"(out)
        : [group] "r"(g), [weights] "r"(g->weights[4]), [n] "r"((uint32_t)w->out_w),
        [step] "r"(w->stride_w * LANES), [out_step] "r"((uint32_t)w->out_c),
        [zero_point] "r"((int32_t)w->out_zero_point), [lanes] "r"(lanes)
        : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory");
}

bool depthwise_lanes_m55(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *scratch, uint32_t bytes, int8_t *output) {
    plan_t p;
    if (!make_plan(w, scratch, bytes, &p)) {
        return false;
    }
    memset(scratch, w->in_zero_point, p.columns * p.rows * LANES);
    for (uint32_t c = 0; c < w->out_c; c += LANES) {
        uint32_t lanes = w->out_c - c < LANES ? w->out_c - c : LANES;
        group_t group;
        if (!depthwise_group_m55(w, filter, quant, c, lanes, group.weights[0], &group.factors)) {
            return false;
        }
        fold_zero_point(&group, w->in_zero_point);
        fill_plane(&p, input + c, lanes);
        const int8_t *row = p.plane;
        int8_t *out = output + c;
        for (uint32_t y = 0; y < w->out_h; y++) {
            run_row(&p, &group, row, lanes, out);
            row += w->stride_h * p.columns * LANES;
            out += w->out_w * w->out_c;
        }
    }
    m55_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
