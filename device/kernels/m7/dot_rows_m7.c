#include "dot_rows_m7.h"

#if MOTEYE_M7

#define MAX_TERMS 2048u

// Halves 0 and 2, then 1 and 3, of each four terms.
static void widen(const int8_t *x, uint32_t n, uint32_t *wide) {
    for (; n > 0; n -= 4, x += 4, wide += 2) {
        uint32_t four = m7_load(x);
        wide[0] = m7_sxtb16(four);
        wide[1] = m7_sxtb16_odd(four);
    }
}

static inline int32_t add_four(uint32_t even, uint32_t odd, const int8_t *row, int32_t acc) {
    uint32_t four = m7_load(row);
    acc = m7_smlad(even, m7_sxtb16(four), acc);
    return m7_smlad(odd, m7_sxtb16_odd(four), acc);
}

bool dot_rows_m7(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc) {
    if (n % 4 != 0 || n > MAX_TERMS) {
        return false;
    }
    uint32_t wide[MAX_TERMS / 2];
    widen(x, n, wide);
    // Three rows share the loads of the vector; the last ones are done again where they are not a multiple.
    for (uint32_t i = 0; i < count; i += 3) {
        const int8_t *row0 = rows + i * n;
        const int8_t *row1 = i + 1 < count ? row0 + n : row0,
                     *row2 = i + 2 < count ? row1 + n : row1;
        const uint32_t *at = wide, *end = wide + n / 2;
        int32_t sum0 = 0, sum1 = 0, sum2 = 0;
        for (; at != end; at += 2, row0 += 4, row1 += 4, row2 += 4) {
            uint32_t even = at[0], odd = at[1];
            sum0 = add_four(even, odd, row0, sum0);
            sum1 = add_four(even, odd, row1, sum1);
            sum2 = add_four(even, odd, row2, sum2);
        }
        acc[i] = sum0;
        if (i + 1 < count) {
            acc[i + 1] = sum1;
        }
        if (i + 2 < count) {
            acc[i + 2] = sum2;
        }
    }
    return true;
}

#endif
