#include "product_q10.h"
#include "dot_rows.h"
#include "fixed_q10.h"
#include "m55/product_q10_m55.h"

// Rows whose sums are kept at a time.
#define ROWS 48u

void product_q10(const caption_product_t *product, const int8_t *x, int16_t *out) {
#if MOTEYE_M55
    if (product_q10_m55(product, x, out)) {
        return;
    }
#endif
    int32_t acc[ROWS];
    for (uint32_t first = 0; first < product->rows; first += ROWS) {
        uint32_t n = product->rows - first < ROWS ? product->rows - first : ROWS;
        const int8_t *weight = product->weight + first * product->columns;
        dot_rows(x, weight, product->columns, n, acc);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = first + i;
            int64_t sum =
                scaled(acc[i] + product->bias[row], product->multiplier[row], product->shift[row]);
            out[row] = sat16_wide(sum);
        }
    }
}

void quantise_q10(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out) {
#if MOTEYE_M55
    if (quantise_q10_m55(x, n, factor, out)) {
        return;
    }
#endif
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (int8_t)clamp_wide(scaled(x[i], factor.multiplier, factor.shift), -127, 127);
    }
}
