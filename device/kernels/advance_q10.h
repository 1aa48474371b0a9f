/* advance_q10: what lies between the captioner's products, element by element. n <= 1,024.
 *
 * word_vector_s8: a word's row int8[n] times its gain, Q15, at the scale that all words share. */
#ifndef MOTEYE_ADVANCE_Q10_H
#define MOTEYE_ADVANCE_Q10_H

#include "caption_pack.h"

void word_vector_s8(const int8_t *row, uint32_t gain, uint32_t n, int8_t *out);

/* mean_q10: sums over `positions` (1..256) values divided by their number.
 *   sum  int32 Q10 [n], each at most 2^16 times positions      out  int16 Q10 [n] */
void mean_q10(const int32_t *sum, uint32_t positions, uint32_t n, int16_t *out);

/* add_word_q10: sum = word, scaled, + context.
 *   word  int8[n]      context  int16 Q10 [n]      sum  out, int32 Q10 [n] */
void add_word_q10(
    const int8_t *word, caption_factor_t factor, const int16_t *context, uint32_t n, int32_t *sum);

/* add_q10: sum + x, int32 + int16 Q10 [n]. */
void add_q10(const int16_t *x, uint32_t n, int32_t *sum);

/* gate_q10: x times gate, int16 Q10 [n], saturated, into x. */
void gate_q10(int16_t *x, const int16_t *gate, uint32_t n);

/* hidden_s8: a normalised vector times gamma, plus beta, within [-127, 127].
 *   x, gamma  int16 Q12 [n]      beta  int16 Q10 [n]      out  int8[n] */
void hidden_s8(const int16_t *x, const int16_t *gamma, const int16_t *beta, uint32_t n,
    caption_factor_t factor, int8_t *out);

#endif
