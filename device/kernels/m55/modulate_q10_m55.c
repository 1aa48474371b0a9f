#include "modulate_q10_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

// As many channels as are active.
static inline int32x4_t sum_of(const int16_t *seen, int32x4_t bias, uint32_t positions,
    uint32_t width, mve_pred16_t active, bool whole) {
    int32x4_t total = vdupq_n_s32(0);
    for (; positions > 0; positions--, seen += width) {
        int32x4_t at = whole ? vldrhq_s32(seen) : vldrhq_z_s32(seen, active);
        total = vaddq_s32(total, m55_hardswish(vaddq_s32(bias, at)));
    }
    return total;
}

void modulate_sum_q10_m55(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum) {
    uint32_t i = 0;
    for (; i + 4 <= width; i += 4) {
        int32x4_t own = vldrhq_s32(bias + i);
        vstrwq_s32(sum + i, sum_of(seen + i, own, positions, width, 0, true));
    }
    if (i < width) {
        mve_pred16_t active = vctp32q(width - i);
        int32x4_t own = vldrhq_z_s32(bias + i, active);
        vstrwq_p_s32(sum + i, sum_of(seen + i, own, positions, width, active, false), active);
    }
}

void modulate_channels_q10_m55(int16_t *x, const int16_t *at, uint32_t n, const uint16_t *sigmoid) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        uint32x4_t entry = m55_table_at(vldrhq_z_s32(at + i, active));
        uint32x4_t share = vldrhq_gather_shifted_offset_z_u32(sigmoid, entry, active);
        int32x4_t value = vmulq_s32(vldrhq_z_s32(x + i, active), vreinterpretq_s32_u32(share));
        vstrhq_p_s32(x + i, vrshrq_n_s32(value, 15), active);
    }
}

void hardswish_all_q10_m55(int16_t *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        vstrhq_p_s32(x + i, m55_sat16(m55_hardswish(vldrhq_z_s32(x + i, active))), active);
    }
}

#endif
