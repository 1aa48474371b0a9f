#include <string.h>

#include "depthwise_conv_2d_s8_m55.h"
#include "depthwise_lanes_m55.h"
#include "depthwise_small_m55.h"
#include "taps_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define SCRATCH_BYTES 12288
#define LANES 16u

// A group is as many rows of the kernel as fit 16 lanes; one gather loads its taps.
typedef struct {
    const window_2d_t *w;
    uint32_t row_bytes, group_rows, groups, group_bytes, plane_bytes;
    uint16x8_t in_offsets;  // of eight pixels of the input
    uint16x8_t tap_offsets; // of eight taps of the filter
    int8_t *plane;
} plan_t;

static bool make_plan(const window_2d_t *w, plan_t *p) {
    if (w->dilation_h != 1 || w->dilation_w != 1 || w->kernel_w > LANES ||
        7u * w->out_c > UINT16_MAX) {
        return false;
    }
    uint32_t reach = (w->out_w + 3u) / 4 * 4 * w->stride_w + w->kernel_w;
    uint32_t filled = w->pad_left + w->in_w + 7u;
    uint32_t rows = LANES / w->kernel_w;
    p->w = w;
    p->row_bytes = reach > filled ? reach : filled;
    p->group_rows = rows < w->kernel_h ? rows : w->kernel_h;
    p->groups = (w->kernel_h + p->group_rows - 1) / p->group_rows;
    p->group_bytes = p->group_rows * p->row_bytes;
    uint32_t in_rows = w->pad_top + w->in_h;
    uint32_t read_rows = (w->out_h - 1u) * w->stride_h + p->groups * p->group_rows;
    p->plane_bytes = (in_rows > read_rows ? in_rows : read_rows) * p->row_bytes;
    if (p->groups > TAPS_MAX_GROUPS || p->plane_bytes > SCRATCH_BYTES ||
        (p->group_rows - 1) * p->row_bytes + w->kernel_w > 256) {
        return false;
    }
    p->tap_offsets = vmulq_n_u16(vidupq_n_u16(0, 1), w->out_c);
    p->in_offsets = vmulq_n_u16(vidupq_n_u16(0, 1), w->in_c);
    return true;
}

// `n` pixels, `step` bytes for eight of them apart, to n neighbouring bytes.
static inline void spread_row(
    const int8_t *from, uint16x8_t offsets, uint32_t step, uint32_t n, int8_t *to) {
    __asm__ volatile("dlstp.16 lr, %[n]\n"
                     "1:\n"
                     "vldrb.u16 q0, [%[from], %q[offsets]]\n"
                     "add %[from], %[step]\n"
                     "vstrb.16 q0, [%[to]], #8\n"
                     "letp lr, 1b\n"
        : [from] "+r"(from), [to] "+r"(to)
        : [n] "r"(n), [step] "r"(step), [offsets] "w"(offsets)
        : "lr", "q0", "memory");
}

// One input channel to the plane, whose border holds the zero point already.
static void spread(const plan_t *p, const int8_t *input) {
    const window_2d_t *w = p->w;
    int8_t *row = p->plane + w->pad_top * p->row_bytes + w->pad_left;
    const uint16x8_t offsets = p->in_offsets;
    const uint32_t step = 8u * w->in_c, in_row = (uint32_t)w->in_w * w->in_c, n = w->in_w;
    const uint32_t row_bytes = p->row_bytes;
    for (uint32_t y = w->in_h; y > 0; y--, row += row_bytes, input += in_row) {
        spread_row(input, offsets, step, n, row);
    }
}

// The taps of one output channel in the order of the lanes, zeros where there is no tap.
static void pack_weights(const plan_t *p, const int8_t *filter, int8_t *packed) {
    const window_2d_t *w = p->w;
    uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w, in_group = p->group_rows * w->kernel_w;
    const uint16x8_t offsets = p->tap_offsets;
    const int8x16_t zero = vdupq_n_s8(0);
    if (taps == 9) {
        vstrbq_s8(packed, zero);
        vstrbq_s16(packed, vldrbq_gather_offset_s16(filter, offsets));
        packed[8] = filter[8 * w->out_c];
        return;
    }
    for (uint32_t g = 0; g < p->groups; g++) {
        vstrbq_s8(packed + g * LANES, zero);
    }
    for (uint32_t first = 0; first < taps; first += in_group, packed += LANES) {
        uint32_t n = taps - first < in_group ? taps - first : in_group;
        for (uint32_t i = 0; i < n; i += 8) {
            mve_pred16_t active = vctp16q(n - i);
            const int8_t *from = filter + (first + i) * w->out_c;
            vstrbq_p_s16(packed + i, vldrbq_gather_offset_z_s16(from, offsets, active), active);
        }
    }
}

// What is the same for all channels.
static taps_m55_t shared_taps(const plan_t *p) {
    const window_2d_t *w = p->w;
    taps_m55_t taps = {.zero_point = w->out_zero_point, .stride = w->stride_w};
    for (uint32_t i = 0; i < p->group_rows * w->kernel_w; i++) {
        taps.offsets[i] = (uint8_t)(i / w->kernel_w * p->row_bytes + i % w->kernel_w);
    }
    for (uint32_t i = 0; i < 4; i++) {
        taps.out_offsets[i] = i * w->out_c;
    }
    taps.group_step = p->group_bytes - 4u * w->stride_w;
    taps.out_step = 4u * w->out_c;
    taps.back = (p->groups - 1) * p->group_bytes;
    taps.row_step = w->stride_h * p->row_bytes;
    taps.out_row = (uint32_t)w->out_w * w->out_c;
    taps.vectors = w->out_w / 4u;
    taps.rest = w->out_w % 4u;
    return taps;
}

static bool factors_ok(const plan_t *p, const int8_t *filter, const channel_quant_t *quant) {
    int8_t packed[TAPS_MAX_GROUPS * LANES];
    m55_factor_t f;
    for (uint32_t i = 0; i < p->w->out_c; i++) {
        if (quant->shift[i] >= 0 && quant->multiplier[i] != 0) {
            pack_weights(p, filter + i, packed);
            if (!m55_factor(quant, i, packed, p->groups * LANES, 1, 0, 0, &f)) {
                return false;
            }
        }
    }
    return true;
}

bool depthwise_conv_2d_s8_m55(const window_2d_t *w, const int8_t *input, const int8_t *filter,
    const channel_quant_t *quant, int8_t *output) {
    int8_t plane[SCRATCH_BYTES] __attribute__((aligned(16)));
    if (depthwise_lanes_m55(w, input, filter, quant, plane, sizeof(plane), output) ||
        depthwise_small_m55(w, input, filter, quant, plane, sizeof(plane), output)) {
        return true;
    }
    plan_t p;
    if (!make_plan(w, &p) || !factors_ok(&p, filter, quant)) {
        return false;
    }
    taps_m55_t taps = shared_taps(&p);
    p.plane = plane;
    memset(plane, w->in_zero_point, p.plane_bytes);
    for (uint32_t c = 0; c < w->out_c; c++) {
        if (c % w->depth_multiplier == 0) {
            spread(&p, input + c / w->depth_multiplier);
        }
        pack_weights(&p, filter + c, taps.weights[0]);
        m55_factor(quant, c, taps.weights[0], p.groups * LANES, 1, w->in_zero_point,
            w->out_zero_point, &taps.factor);
        taps.plane = plane;
        taps.out = output + c;
        taps.rows = w->out_h;
        taps_m55(&taps, p.groups);
    }
    m55_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
