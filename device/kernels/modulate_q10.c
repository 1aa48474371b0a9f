#include <string.h>

#include "modulate_q10.h"
#include "fixed_q10.h"
#include "m55/modulate_q10_m55.h"
#include "m7/modulate_q10_m7.h"

void modulate_sum_q10(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum) {
#if MOTEYE_M55
    modulate_sum_q10_m55(seen, bias, positions, width, sum);
#elif MOTEYE_M7
    modulate_sum_q10_m7(seen, bias, positions, width, sum);
#else
    memset(sum, 0, width * sizeof(*sum));
    for (uint32_t position = 0; position < positions; position++, seen += width) {
        for (uint32_t i = 0; i < width; i++) {
            sum[i] += hardswish_q10(seen[i] + bias[i]);
        }
    }
#endif
}

void modulate_channels_q10(int16_t *x, const int16_t *at, uint32_t n, const uint16_t *sigmoid) {
#if MOTEYE_M55
    modulate_channels_q10_m55(x, at, n, sigmoid);
#else
    for (uint32_t i = 0; i < n; i++) {
        x[i] = (int16_t)half_up(x[i] * (int32_t)sigmoid[table_at(at[i])], 15);
    }
#endif
}

void hardswish_all_q10(int16_t *x, uint32_t n) {
#if MOTEYE_M55
    hardswish_all_q10_m55(x, n);
#elif MOTEYE_M7
    hardswish_all_q10_m7(x, n);
#else
    for (uint32_t i = 0; i < n; i++) {
        x[i] = sat16(hardswish_q10(x[i]));
    }
#endif
}
