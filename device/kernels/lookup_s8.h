/* lookup_s8: every int8 value replaced by its entry in a table: LOGISTIC, TANH, HARD_SWISH, a RELU by
 * itself, QUANTIZE from int8, and any other function of one value.
 *   input   int8[count]          table  int8[256], the entry of value v at v + 128
 *   output  int8[count]; may be the input itself
 * Allocates nothing. The compiler asks the TFLite reference kernel for the table, so it is
 * bit-exact. */
#ifndef MOTEYE_LOOKUP_S8_H
#define MOTEYE_LOOKUP_S8_H

#include <stddef.h>
#include <stdint.h>

void lookup_s8(const int8_t *input, size_t count, const int8_t *table, int8_t *output);

#endif
