/* best_rows: the rows with the highest margins, best first, among equals the lower row first.
 *   margins  int16[count]          least  rows below it do not count
 *   rows     out, uint16[most]     most   >= 1
 * Returns how many there are, at most `most`; what is behind them in `rows` is undefined. */
#ifndef MOTEYE_BEST_ROWS_H
#define MOTEYE_BEST_ROWS_H

#include <stdint.h>

uint32_t best_rows(
    const int16_t *margins, uint32_t count, int32_t least, uint16_t *rows, uint32_t most);

#endif
