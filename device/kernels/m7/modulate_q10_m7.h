/* modulate_q10_m7: hardswish of modulate_q10.h on Cortex-M7. Private to the runtime. */
#ifndef MOTEYE_MODULATE_Q10_M7_H
#define MOTEYE_MODULATE_Q10_M7_H

#include "target_m7.h"

#if MOTEYE_M7
void modulate_sum_q10_m7(
    const int16_t *seen, const int16_t *bias, uint32_t positions, uint32_t width, int32_t *sum);
void hardswish_all_q10_m7(int16_t *x, uint32_t n);
#endif

#endif
