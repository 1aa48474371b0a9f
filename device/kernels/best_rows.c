#include "best_rows.h"

uint32_t best_rows(
    const int16_t *margins, uint32_t count, int32_t least, uint16_t *rows, uint32_t most) {
    uint32_t found = 0;
    for (uint32_t row = 0; row < count; row++) {
        int32_t margin = margins[row];
        if (margin < least || (found == most && margin <= margins[rows[most - 1]])) {
            continue;
        }
        uint32_t at = found < most ? found++ : most - 1;
        for (; at > 0 && margins[rows[at - 1]] < margin; at--) {
            rows[at] = rows[at - 1];
        }
        rows[at] = (uint16_t)row;
    }
    return found;
}
