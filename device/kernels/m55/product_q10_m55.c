#include "product_q10_m55.h"
#include "dot_rows_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

static bool shifts_ok(const int8_t *shift, uint32_t n) {
    int8_t most = INT8_MIN;
    for (uint32_t i = 0; i < n; i += 16) {
        mve_pred16_t active = vctp8q(n - i);
        most = (int8_t)vmaxvq_p_s8(most, vldrbq_z_s8(shift + i, active), active);
    }
    return most <= M55_SCALED_SHIFT;
}

bool product_q10_m55(const caption_product_t *product, const int8_t *x, int16_t *out) {
    const uint32_t rows = product->rows, columns = product->columns;
    if (rows < 4 || !shifts_ok(product->shift, rows)) {
        return false;
    }
    for (uint32_t i = 0; i < rows; i += 4) {
        // The last four do rows again where they are not a multiple.
        uint32_t row = rows - i < 4 ? rows - 4 : i;
        int32x4_t sums = m55_dot_rows(x, product->weight + row * columns, columns);
        sums = vaddq_s32(sums, vldrwq_s32(product->bias + row));
        int32x4_t down = vaddq_n_s32(vldrbq_s32(product->shift + row), 1);
        sums = m55_scaled(sums, vldrwq_s32(product->multiplier + row), down);
        vstrhq_s32(out + row, m55_sat16(sums));
    }
    return true;
}

void quantise_q10_m55(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out) {
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t value = m55_scale(vldrhq_z_s32(x + i, active), &by);
        value = vminq_s32(vmaxq_s32(value, vdupq_n_s32(-127)), vdupq_n_s32(127));
        vstrbq_p_s32(out + i, value, active);
    }
}

#endif
