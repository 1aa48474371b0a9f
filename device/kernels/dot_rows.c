#include "dot_rows.h"
#include "dot.h"
#include "m7/dot_rows_m7.h"
#include "x86/dot_rows_x86.h"

void dot_rows(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc) {
#if MOTEYE_M7
    if (dot_rows_m7(x, rows, n, count, acc)) {
        return;
    }
#elif MOTEYE_X86
    if (dot_rows_x86(x, rows, n, count, acc)) {
        return;
    }
#endif
    for (uint32_t i = 0; i < count; i++, rows += n) {
        acc[i] = dot_offset(x, rows, n, 0);
    }
}
