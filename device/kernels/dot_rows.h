/* dot_rows: the products of a vector with neighbouring rows.
 *   x     int8[n]      rows  int8[count][n]
 *   acc   out, int32[count]; n <= 65,535, so that no sum overflows */
#ifndef MOTEYE_DOT_ROWS_H
#define MOTEYE_DOT_ROWS_H

#include <stdint.h>

void dot_rows(const int8_t *x, const int8_t *rows, uint32_t n, uint32_t count, int32_t *acc);

#endif
