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

// Eight terms of a row.
#define ROW(row, sum)                                                                              \
    "ldrd %[w0], %[w1], [%[" row "]], #8\n"                                                        \
    "sxtb16 %[t], %[w0]\n"                                                                         \
    "sxtb16 %[w0], %[w0], ror #8\n"                                                                \
    "smlad %[" sum "], %[e0], %[t], %[" sum "]\n"                                                  \
    "smlad %[" sum "], %[o0], %[w0], %[" sum "]\n"                                                 \
    "sxtb16 %[t], %[w1]\n"                                                                         \
    "sxtb16 %[w1], %[w1], ror #8\n"                                                                \
    "smlad %[" sum "], %[e1], %[t], %[" sum "]\n"                                                  \
    "smlad %[" sum "], %[o1], %[w1], %[" sum "]\n"
// Eight terms of two rows, which share the loads of the vector.
#define EIGHT                                                                                      \
    "ldrd %[e0], %[o0], [%[x]], #8\n"                                                              \
    "ldrd %[e1], %[o1], [%[x]], #8\n" ROW("row0", "sum0") ROW("row1", "sum1")

// Two rows over n terms, a multiple of four.
static void two_rows(
    const uint32_t *x, const int8_t *row0, const int8_t *row1, uint32_t n, int32_t *acc) {
    int32_t sum0 = 0, sum1 = 0;
    uint32_t steps = n / 32, e0, o0, e1, o1, w0, w1, t;
    if (steps > 0) {
        __asm__("1:\n" EIGHT EIGHT EIGHT EIGHT "subs %[steps], #1\nbne 1b\n"
            : [x] "+r"(x), [row0] "+r"(row0), [row1] "+r"(row1), [sum0] "+r"(sum0),
            [sum1] "+r"(sum1), [steps] "+r"(steps), [e0] "=&r"(e0), [o0] "=&r"(o0), [e1] "=&r"(e1),
            [o1] "=&r"(o1), [w0] "=&r"(w0), [w1] "=&r"(w1), [t] "=&r"(t)
            :
            : "cc", "memory");
    }
    for (uint32_t left = n % 32; left > 0; left -= 4, x += 2, row0 += 4, row1 += 4) {
        sum0 = add_four(x[0], x[1], row0, sum0);
        sum1 = add_four(x[0], x[1], row1, sum1);
    }
    acc[0] = sum0;
    acc[1] = sum1;
}

bool dot_rows_m7(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc) {
    if (n % 4 != 0 || n > MAX_TERMS || count < 2 || (uintptr_t)rows % 4 != 0) {
        return false;
    }
    _Alignas(8) uint32_t wide[MAX_TERMS / 2];
    widen(x, n, wide);
    for (uint32_t i = 0; i < count; i += 2) {
        // The last two do a row again where they are not a multiple.
        uint32_t row = count - i < 2 ? count - 2 : i;
        two_rows(wide, rows + row * n, rows + (row + 1) * n, n, acc + row);
    }
    return true;
}

#endif
