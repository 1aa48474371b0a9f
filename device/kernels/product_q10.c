#include "product_q10.h"
#include "dot.h"
#include "fixed_q10.h"
#include "m55/product_q10_m55.h"

void product_q10(const caption_product_t *product, const int8_t *x, int16_t *out) {
#if MOTEYE_M55
    if (product_q10_m55(product, x, out)) {
        return;
    }
#endif
    const int8_t *row = product->weight;
    for (uint32_t i = 0; i < product->rows; i++, row += product->columns) {
        int32_t acc = dot_offset(x, row, product->columns, 0) + product->bias[i];
        out[i] = sat16_wide(scaled(acc, product->multiplier[i], product->shift[i]));
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
