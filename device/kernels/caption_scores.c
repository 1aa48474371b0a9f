#include "caption_scores.h"
#include "dot_rows.h"
#include "fixed_q10.h"
#include "m55/caption_scores_m55.h"

// Words whose sums are kept at a time.
#define WORDS 160u
#define LN2_Q16 45426

// half_up(sum * gain, 15): the 17 bits between it and the upper half are put in front; |sum| <= 2^24.
static int32_t with_gain(int32_t sum, uint32_t gain) {
    int64_t product = (int64_t)(sum * 4) * (int32_t)(gain << 15);
    return (int32_t)((product + ((int64_t)1 << 31)) >> 32);
}

static int32_t scores_of(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores) {
    const caption_header_t *h = &pack->header;
    const scale_t by = scale_of(h->logit.multiplier, h->logit.shift);
    int32_t acc[WORDS], best = INT32_MIN;
    for (uint32_t first = 0; first < h->words; first += WORDS) {
        uint32_t n = h->words - first < WORDS ? h->words - first : WORDS;
        dot_rows(hidden, pack->words + first * h->width, h->width, n, acc);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t word = first + i;
            int32_t score = scale(with_gain(acc[i], pack->gain[word]), &by) + pack->word_bias[word];
            scores[word] = score;
            best = score > best && word != CAPTION_UNKNOWN ? score : best;
        }
    }
    return best;
}

int32_t caption_scores(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores) {
    int32_t best;
#if MOTEYE_M55
    if (!caption_scores_m55(pack, hidden, scores, &best))
#endif
        best = scores_of(pack, hidden, scores);
    scores[CAPTION_UNKNOWN] = INT32_MIN;
    return best;
}

uint32_t caption_next(const int32_t *scores, uint32_t n, uint32_t from, int64_t above) {
    if (above < INT32_MIN || above >= INT32_MAX) {
        return above < INT32_MIN ? from : n;
    }
    int32_t least = (int32_t)above;
#if MOTEYE_M55
    from = caption_skip_m55(scores, n, from, least);
#endif
    while (from < n && scores[from] <= least) {
        from++;
    }
    return from;
}

// The sum of exp(score - best), Q15; the unknown word's is 0.
static uint32_t exp_sum(const uint16_t *exp2, const int32_t *scores, uint32_t n, int32_t best) {
#if MOTEYE_M55
    return caption_exp_sum_m55(exp2, scores, n, best);
#else
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t away = (uint32_t)best - (uint32_t)scores[i];
        uint32_t exponent = ((away < EXP_FAR_Q10 ? away : EXP_FAR_Q10) * LOG2E_Q10 + 2048) >> 12;
        total += (uint32_t)exp2[exponent & 255] >> (exponent >> 8);
    }
    return total;
#endif
}

int32_t caption_log_sum(const caption_pack_t *pack, const int32_t *scores, int32_t best) {
    uint32_t total = exp_sum(pack->exp2, scores, pack->header.words, best);
    int32_t top = 0;
    while (top < 31 && total >> (top + 1) != 0) {
        top++;
    }
    uint32_t fraction = (uint32_t)(((uint64_t)total << 8) >> top) & 255;
    int64_t log2_q12 = (int64_t)(top - 15) * 4096 + pack->log2[fraction];
    return best + (int32_t)((log2_q12 * LN2_Q16 + (1 << 17)) >> 18);
}
