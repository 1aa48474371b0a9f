/* caption_scores: how likely each word is next, Q10, not normalised; CAPTION_UNKNOWN never is.
 *   hidden  int8[D]      scores  out, int32[V] */
#ifndef MOTEYE_CAPTION_SCORES_H
#define MOTEYE_CAPTION_SCORES_H

#include "caption_pack.h"

void caption_scores(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores);

/* caption_log_sum: ln of the sum of exp(score), Q10. */
int32_t caption_log_sum(const caption_pack_t *pack, const int32_t *scores);

#endif
