/* modulate_q10_m55: modulate_q10.h on Helium. Private to the runtime. */
#ifndef MOTEYE_MODULATE_Q10_M55_H
#define MOTEYE_MODULATE_Q10_M55_H

#include "target_m55.h"

#if MOTEYE_M55
void modulate_sum_q10_m55(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum);
void modulate_channels_q10_m55(int16_t *x, const int16_t *at, uint32_t n, const uint16_t *sigmoid);
void hardswish_all_q10_m55(int16_t *x, uint32_t n);
#endif

#endif
