#include <string.h>

#include "depthwise_conv_2d_s8_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define SCRATCH_BYTES 12288
#define LANES 16u
#define MAX_GROUPS 4u

// A group is as many rows of the kernel as fit 16 lanes; one gather loads its taps.
typedef struct {
    const window_2d_t *w;
    uint32_t row_bytes, group_rows, groups, group_bytes, plane_bytes;
    uint8x16_t offsets;     // of a group's taps
    uint16x8_t in_offsets;  // of eight pixels of the input
    uint32x4_t out_offsets; // of four pixels of the output
    int8_t *plane;
} plan_t;

static bool make_plan(const window_2d_t *w, plan_t *p) {
    if (w->dilation_h != 1 || w->dilation_w != 1 || w->kernel_w > LANES ||
        7u * w->in_c > UINT16_MAX) {
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
    if (p->groups > MAX_GROUPS || p->plane_bytes > SCRATCH_BYTES ||
        (p->group_rows - 1) * p->row_bytes + w->kernel_w > 256) {
        return false;
    }
    uint8_t offsets[LANES] = {0};
    for (uint32_t i = 0; i < p->group_rows * w->kernel_w; i++) {
        offsets[i] = (uint8_t)(i / w->kernel_w * p->row_bytes + i % w->kernel_w);
    }
    p->offsets = vldrbq_u8(offsets);
    p->in_offsets = vmulq_n_u16(vidupq_n_u16(0, 1), w->in_c);
    p->out_offsets = vmulq_n_u32(vidupq_n_u32(0, 1), w->out_c);
    return true;
}

// One input channel to the plane, whose border holds the zero point already.
static void spread(const plan_t *p, const int8_t *input) {
    const window_2d_t *w = p->w;
    int8_t *row = p->plane + w->pad_top * p->row_bytes + w->pad_left;
    uint32_t step = 8u * w->in_c;
    for (uint32_t y = w->in_h; y > 0; y--, row += p->row_bytes) {
        int8_t *to = row;
        const int8_t *from = input;
        for (int32_t left = w->in_w; left > 0; left -= 8, to += 8, from += step) {
            mve_pred16_t active = vctp16q((uint32_t)left);
            int16x8_t x = vldrbq_gather_offset_z_s16(from, p->in_offsets, active);
            vstrbq_p_s16(to, x, active);
        }
        input += (uint32_t)w->in_w * w->in_c;
    }
}

// The taps of one output channel in the order of the lanes, zeros where there is no tap.
static void pack_weights(const plan_t *p, const int8_t *filter, int8_t *packed) {
    const window_2d_t *w = p->w;
    uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w, in_group = p->group_rows * w->kernel_w;
    uint16x8_t offsets = vmulq_n_u16(vidupq_n_u16(0, 1), w->out_c);
    memset(packed, 0, p->groups * LANES);
    for (uint32_t first = 0; first < taps; first += in_group, packed += LANES) {
        uint32_t n = taps - first < in_group ? taps - first : in_group;
        for (uint32_t i = 0; i < n; i += 8) {
            mve_pred16_t active = vctp16q(n - i);
            const int8_t *from = filter + (first + i) * w->out_c;
            vstrbq_p_s16(packed + i, vldrbq_gather_offset_z_s16(from, offsets, active), active);
        }
    }
}

// One channel of the output; `groups` is a constant where this is inlined.
static inline __attribute__((always_inline)) void run_channel(
    const plan_t *p, const int8_t *packed, m55_factor_t f, uint32_t groups, int8_t *out) {
    const window_2d_t *w = p->w;
    int8x16_t weights[MAX_GROUPS];
    for (uint32_t g = 0; g < groups; g++) {
        weights[g] = vldrbq_s8(packed + g * LANES);
    }
    const uint8x16_t offsets = p->offsets;
    const uint32x4_t out_offsets = p->out_offsets;
    const uint32_t stride = w->stride_w, group_bytes = p->group_bytes, out_step = 4u * w->out_c;
    const int32_t zero_point = w->out_zero_point;
    const int8_t *row = p->plane;
    for (uint32_t y = w->out_h; y > 0; y--, row += w->stride_h * p->row_bytes) {
        const int8_t *x = row;
        int8_t *to = out;
        for (int32_t left = w->out_w; left > 0; left -= 4, to += out_step) {
            int32_t sums[4];
            for (uint32_t i = 0; i < 4; i++, x += stride) {
                const int8_t *taps = x;
                sums[i] = f.bias;
                for (uint32_t g = 0; g < groups; g++, taps += group_bytes) {
                    sums[i] = vmladavaq_s8(
                        sums[i], vldrbq_gather_offset_s8(taps, offsets), weights[g]);
                }
            }
            int32x4_t v = {sums[0], sums[1], sums[2], sums[3]};
            v = vqrdmulhq_n_s32(v, f.multiplier);
            v = vaddq_s32(v, vshrq_n_s32(v, 31));
            v = vrshlq_n_s32(v, f.shift);
            v = vaddq_n_s32(v, zero_point);
            v = vreinterpretq_s32_s16(vqmovnbq_s32(vreinterpretq_s16_s32(v), v));
            v = vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s32(v), vreinterpretq_s16_s32(v)));
            vstrbq_scatter_offset_p_s32(to, out_offsets, v, vctp32q((uint32_t)left));
        }
        out += (uint32_t)w->out_w * w->out_c;
    }
}

static bool factors_ok(const plan_t *p, const int8_t *filter, const channel_quant_t *quant) {
    int8_t packed[MAX_GROUPS * LANES];
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
    plan_t p;
    if (!make_plan(w, &p) || !factors_ok(&p, filter, quant)) {
        return false;
    }
    int8_t plane[SCRATCH_BYTES];
    int8_t packed[MAX_GROUPS * LANES];
    p.plane = plane;
    memset(plane, w->in_zero_point, p.plane_bytes);
    for (uint32_t c = 0; c < w->out_c; c++) {
        if (c % w->depth_multiplier == 0) {
            spread(&p, input + c / w->depth_multiplier);
        }
        pack_weights(&p, filter + c, packed);
        m55_factor_t f;
        m55_factor(quant, c, packed, p.groups * LANES, 1, w->in_zero_point, w->out_zero_point, &f);
        switch (p.groups) {
            case 1: run_channel(&p, packed, f, 1, output + c); break;
            case 2: run_channel(&p, packed, f, 2, output + c); break;
            case 3: run_channel(&p, packed, f, 3, output + c); break;
            default: run_channel(&p, packed, f, 4, output + c); break;
        }
    }
    m55_clamp(output, (uint32_t)w->out_h * w->out_w * w->out_c, w->act_min, w->act_max);
    return true;
}

#endif
