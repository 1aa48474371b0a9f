#include "dot_m7.h"

#if MOTEYE_M7

int32_t m7_dot_offset(const int8_t *a, const int8_t *b, uint32_t n, int32_t zero_point) {
    const uint32_t minus = (uint16_t)-zero_point * 0x10001u;
    int32_t acc = 0;
    for (; n >= 4; n -= 4, a += 4, b += 4) {
        uint32_t x = m7_load(a), y = m7_load(b);
        acc = m7_smlad(m7_sxtab16(minus, x), m7_sxtab16(0, y), acc);
        acc = m7_smlad(m7_sxtab16_odd(minus, x), m7_sxtab16_odd(0, y), acc);
    }
    for (; n > 0; n--) {
        acc += (*a++ - zero_point) * *b++;
    }
    return acc;
}

#endif
