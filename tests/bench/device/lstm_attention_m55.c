#include "lstm_attention.h"
#include "fixed_q10.h"
#include "m55/target_m55.h"

#if MOTEYE_M55

#include "m55/fixed_q10_m55.h"

static inline int32x4_t tanh_of(const int16_t *tanh, int32x4_t v, mve_pred16_t active) {
    return vldrhq_gather_shifted_offset_z_s32(tanh, m55_table_at(v), active);
}

static inline int32x4_t sigmoid_of(const uint16_t *sigmoid, int32x4_t v, mve_pred16_t active) {
    return vreinterpretq_s32_u32(
        vldrhq_gather_shifted_offset_z_u32(sigmoid, m55_table_at(v), active));
}

int32_t lstm_energy(const int16_t *seen, const int16_t *asked, const int16_t *weigh,
    const int16_t *tanh, uint32_t width) {
    int64_t acc = 0;
    for (uint32_t i = 0; i < width; i += 4) {
        mve_pred16_t active = vctp32q(width - i);
        int32x4_t v = vaddq_s32(vldrhq_z_s32(seen + i, active), vldrhq_z_s32(asked + i, active));
        acc = vmlaldavaq_s32(acc, tanh_of(tanh, v, active), vldrhq_z_s32(weigh + i, active));
    }
    return (int32_t)half_up_wide(acc, 17);
}

void lstm_mix(
    const int16_t *seen, const uint16_t *share, uint32_t positions, uint32_t width, int16_t *out) {
    for (uint32_t i = 0; i < width; i += 4) {
        mve_pred16_t active = vctp32q(width - i);
        int32x4_t acc = vdupq_n_s32(0);
        const int16_t *at = seen + i;
        for (uint32_t p = 0; p < positions; p++, at += width) {
            acc = vmlaq_n_s32(acc, vldrhq_z_s32(at, active), share[p]);
        }
        vstrhq_p_s32(out + i, m55_sat16(vrshrq_n_s32(acc, 15)), active);
    }
}

void lstm_cells(const int16_t *gates, const uint16_t *sigmoid, const int16_t *tanh, uint32_t width,
    int16_t *cell, int8_t *hidden) {
    for (uint32_t i = 0; i < width; i += 4, gates += 4) {
        mve_pred16_t active = vctp32q(width - i);
        int32x4_t enter = sigmoid_of(sigmoid, vldrhq_z_s32(gates, active), active);
        int32x4_t keep = sigmoid_of(sigmoid, vldrhq_z_s32(gates + width, active), active);
        int32x4_t new = tanh_of(tanh, vldrhq_z_s32(gates + 2 * width, active), active);
        int32x4_t leave = sigmoid_of(sigmoid, vldrhq_z_s32(gates + 3 * width, active), active);
        keep = vrshrq_n_s32(vmulq_s32(keep, vldrhq_z_s32(cell + i, active)), 15);
        int32x4_t sum = vaddq_s32(keep, vrshrq_n_s32(vmulq_s32(enter, new), 18));
        sum = vmovlbq_s16(vreinterpretq_s16_s32(m55_sat16(sum)));
        vstrhq_p_s32(cell + i, sum, active);
        int32x4_t shown = vmulq_s32(leave, tanh_of(tanh, vrshrq_n_s32(sum, 2), active));
        shown = vmaxq_s32(vrshrq_n_s32(shown, 23), vdupq_n_s32(-127));
        vstrbq_p_s32(hidden + i, vminq_s32(shown, vdupq_n_s32(127)), active);
    }
}

#endif
