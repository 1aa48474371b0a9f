#include "target_m7.h"

#if MOTEYE_M7

void m7_clamp(int8_t *values, uint32_t count, int32_t act_min, int32_t act_max) {
    if (act_min == -128 && act_max == 127) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int8_t)clamp(values[i], act_min, act_max);
    }
}

#endif
