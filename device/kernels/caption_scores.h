/* caption_scores: how likely each word is next, Q10, not normalised; CAPTION_UNKNOWN never is.
 *   hidden  int8[D]      scores  out, int32[V]
 * Returns the highest. */
#ifndef MOTEYE_CAPTION_SCORES_H
#define MOTEYE_CAPTION_SCORES_H

#include "caption_pack.h"

int32_t caption_scores(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores);

/* caption_next: the first word from `from` on whose score is above `above`; `n` where there is none. */
uint32_t caption_next(const int32_t *scores, uint32_t n, uint32_t from, int64_t above);

/* caption_log_sum: ln of the sum of exp(score), Q10; `best` is the highest score. */
int32_t caption_log_sum(const caption_pack_t *pack, const int32_t *scores, int32_t best);

#endif
