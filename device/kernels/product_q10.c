#include "product_q10.h"
#include "dot.h"
#include "fixed_q10.h"

void product_q10(const caption_product_t *product, const int8_t *x, int16_t *out) {
    const int8_t *row = product->weight;
    for (uint32_t i = 0; i < product->rows; i++, row += product->columns) {
        int32_t acc = dot_offset(x, row, product->columns, 0) + product->bias[i];
        out[i] = sat16(scaled(acc, product->multiplier[i], product->shift[i]));
    }
}

void quantise_q10(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out) {
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (int8_t)clamp_wide(scaled(x[i], factor.multiplier, factor.shift), -127, 127);
    }
}
