#include "modulate_q10.h"
#include "fixed_q10.h"
#include "m55/modulate_q10_m55.h"

void modulate_sum_q10(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum) {
#if MOTEYE_M55
    modulate_sum_q10_m55(seen, bias, positions, width, sum);
#else
    for (uint32_t i = 0; i < width; i++) {
        int32_t total = 0;
        for (uint32_t position = 0; position < positions; position++) {
            total += hardswish_q10(seen[position * width + i] + bias[i]);
        }
        sum[i] = total;
    }
#endif
}

void modulate_channels_q10(int16_t *x, const int16_t *at, uint32_t n, const uint16_t *sigmoid) {
    for (uint32_t i = 0; i < n; i++) {
        x[i] = (int16_t)half_up(x[i] * (int32_t)sigmoid[table_at(at[i])], 15);
    }
}

void hardswish_all_q10(int16_t *x, uint32_t n) {
#if MOTEYE_M55
    hardswish_all_q10_m55(x, n);
#else
    for (uint32_t i = 0; i < n; i++) {
        x[i] = sat16(hardswish_q10(x[i]));
    }
#endif
}
