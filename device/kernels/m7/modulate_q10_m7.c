#include "modulate_q10_m7.h"

#if MOTEYE_M7

#include "../fixed_q10.h"

/* What hardswish_q10 takes off v, times 2^10: v (1024 - share). The share's upper limit is a saturation of
 * the difference at 0; smmlar rounds 1024 - 10923 c / 2^16 as the definition does, but for halves, which no c
 * below 2^15 makes. */
static inline int32_t taken_off(int32_t v) {
    int32_t clamped = m7_usat13(v + 3072);
    return v * m7_usat11(m7_smmlar(clamped, -10923 * 65536, 1024));
}

void modulate_sum_q10_m7(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum) {
    for (uint32_t i = 0; i < width; i++) {
        const int16_t *at = seen + i;
        const int32_t own = bias[i];
        int32_t total = 0;
        for (uint32_t left = positions; left > 0; left--, at += width) {
            int32_t v = *at + own;
            total += v + ((512 - taken_off(v)) >> 10);
        }
        sum[i] = total;
    }
}

void hardswish_all_q10_m7(int16_t *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        int32_t v = x[i];
        x[i] = sat16(v + ((512 - taken_off(v)) >> 10));
    }
}

#endif
