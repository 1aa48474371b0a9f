#include "layer_norm_q10.h"
#include "fixed_q10.h"
#include "isqrt.h"

static int32_t centred(int32_t x, int32_t mean) {
    return clamp(x - mean, -65535, 65535);
}

// Even, and as many bits as `variance` can go up within 32.
static int32_t headroom(uint32_t variance) {
    int32_t bits = 0;
    while (bits < 32 && variance < (1u << (31 - bits))) {
        bits++;
    }
    return bits & ~1;
}

void layer_norm_q10(const int32_t *x, uint32_t n, int16_t *out) {
    int64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += x[i];
    }
    int32_t mean = (int32_t)divide_half_up(total, n);
    uint64_t squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t away = centred(x[i], mean);
        squares += (uint64_t)(away * away);
    }
    uint64_t variance = squares / n;
    if (variance == 0) {
        for (uint32_t i = 0; i < n; i++) {
            out[i] = 0;
        }
        return;
    }
    variance = variance < UINT32_MAX ? variance : UINT32_MAX;
    int32_t up = headroom((uint32_t)variance);
    uint32_t root = isqrt((uint32_t)variance << up);
    int64_t inverse = (1u << 31) / root;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = sat16_wide(half_up_wide(centred(x[i], mean) * inverse, 19 - up / 2));
    }
}
