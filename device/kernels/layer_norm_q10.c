#include "layer_norm_q10.h"
#include "fixed_q10.h"
#include "isqrt.h"
#include "m55/layer_norm_q10_m55.h"

#if MOTEYE_M55
#define total_of layer_norm_total_m55
#define squares_of layer_norm_squares_m55
#define normalise layer_norm_apply_m55
#else
static int32_t centred(int32_t x, int32_t mean) {
    return clamp(x - mean, -65535, 65535);
}

static int64_t total_of(const int32_t *x, uint32_t n) {
    int64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += x[i];
    }
    return total;
}

static uint64_t squares_of(const int32_t *x, uint32_t n, int32_t mean) {
    int64_t squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t away = centred(x[i], mean);
        squares += (int64_t)away * away;
    }
    return (uint64_t)squares;
}

// (x - mean) inverse / 2^bits
static void normalise(
    const int32_t *x, uint32_t n, int32_t mean, int32_t inverse, int32_t bits, int16_t *out) {
    for (uint32_t i = 0; i < n; i++) {
        int32_t product = high(centred(x[i], mean) * (1 << 15), inverse << 14);
        out[i] = sat16(half_up_any(product, bits - 3));
    }
}
#endif

// Even, and as many bits as `variance` can go up within 32.
static int32_t headroom(uint32_t variance) {
    int32_t bits = 0;
    while (bits < 32 && variance < (1u << (31 - bits))) {
        bits++;
    }
    return bits & ~1;
}

void layer_norm_q10(const int32_t *x, uint32_t n, int16_t *out) {
    int32_t mean = (int32_t)divide_half_up(total_of(x, n), n);
    uint64_t variance = squares_of(x, n, mean) / n;
    if (variance == 0) {
        for (uint32_t i = 0; i < n; i++) {
            out[i] = 0;
        }
        return;
    }
    variance = variance < UINT32_MAX ? variance : UINT32_MAX;
    int32_t up = headroom((uint32_t)variance);
    uint32_t root = isqrt((uint32_t)variance << up);
    // 2^15..2^16; up is at most 30, so that at least four bits of the product go.
    int32_t inverse = (int32_t)((1u << 31) / root);
    normalise(x, n, mean, inverse, 19 - up / 2, out);
}
