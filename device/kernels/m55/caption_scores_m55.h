/* caption_scores_m55: caption_scores.h on Helium. caption_scores_m55 is false where the pack does not fit
 * it (fewer than eight words, or a factor of 1/4 and more). Private to the runtime. */
#ifndef MOTEYE_CAPTION_SCORES_M55_H
#define MOTEYE_CAPTION_SCORES_M55_H

#include "../caption_pack.h"
#include "target_m55.h"

#if MOTEYE_M55
bool caption_scores_m55(
    const caption_pack_t *pack, const int8_t *hidden, int32_t *scores, int32_t *best);

/* caption_skip_m55: past words from `from` on whose scores are at most `least`, sixteen by sixteen. */
uint32_t caption_skip_m55(const int32_t *scores, uint32_t n, uint32_t from, int32_t least);

/* caption_exp_sum_m55: the sum of exp(score - best) as caption_log_sum adds it up, Q15. */
uint32_t caption_exp_sum_m55(const uint16_t *exp2, const int32_t *scores, uint32_t n, int32_t best);
#endif

#endif
