#include "prob_q8.h"
#include "wire.h"

static const uint8_t logistic_table[256] = MOTEYE_PROB_TABLE;

uint8_t prob_q8(int32_t margin_q8) {
    int32_t i = margin_q8 >> MOTEYE_SET_MARGIN_TABLE_SHIFT;
    i = i < -128 ? -128 : i > 127 ? 127 : i;
    return logistic_table[i + 128];
}
