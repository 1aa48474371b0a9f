/* prob_q8: probability of a margin, times 255: a logistic curve from a table of 256 entries.
 *   table[i] = floor(255 / (1 + exp(-(i - 128 + 0.5) / 16)) + 0.5)
 * read at margin_q8 / 16, rounded down and clamped to [-128, 127]. A test recomputes the table. */
#ifndef MOTEYE_PROB_Q8_H
#define MOTEYE_PROB_Q8_H

#include <stdint.h>

uint8_t prob_q8(int32_t margin_q8);

#endif
