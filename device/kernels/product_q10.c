#include "product_q10.h"
#include "dot_rows.h"
#include "fixed_q10.h"
#include "m55/product_q10_m55.h"

// Rows whose sums are kept at a time.
#define ROWS 160u

// Apart, so that the common way has none of its 64 bits.
static __attribute__((noinline)) int16_t enlarged(int32_t sum, int32_t multiplier, int32_t shift) {
    return sat16_wide(scaled(sum, multiplier, shift));
}

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
            int32_t sum = acc[i] + product->bias[row], shift = product->shift[row];
            int32_t multiplier = product->multiplier[row];
            out[row] = shift <= -2 ? sat16(half_up_any(high(sum, multiplier), -1 - shift))
                                   : enlarged(sum, multiplier, shift);
        }
    }
}

void quantise_q10(const int16_t *x, uint32_t n, caption_factor_t factor, int8_t *out) {
#if MOTEYE_M55
    quantise_q10_m55(x, n, factor, out);
#else
    const scale_t by = scale_of(factor.multiplier, factor.shift);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (int8_t)clamp(scale(x[i], &by), -127, 127);
    }
#endif
}
