#include "caption_scores.h"
#include "dot.h"
#include "fixed_q10.h"

#define LOG2E_Q10 1477
#define LN2_Q16 45426

void caption_scores(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores) {
    const caption_header_t *h = &pack->header;
    const int8_t *row = pack->words;
    for (uint32_t word = 0; word < h->words; word++, row += h->width) {
        int64_t acc = dot_offset(hidden, row, h->width, 0);
        int32_t gained = (int32_t)half_up_wide(acc * pack->gain[word], 15);
        scores[word] =
            (int32_t)scaled(gained, h->logit.multiplier, h->logit.shift) + pack->word_bias[word];
    }
    scores[CAPTION_UNKNOWN] = INT32_MIN;
}

int32_t caption_log_sum(const caption_pack_t *pack, const int32_t *scores) {
    int32_t best = INT32_MIN;
    for (uint32_t word = 0; word < pack->header.words; word++) {
        best = scores[word] > best ? scores[word] : best;
    }
    uint32_t total = 0;
    for (uint32_t word = 0; word < pack->header.words; word++) {
        if (word == CAPTION_UNKNOWN) {
            continue;
        }
        uint64_t exponent = ((uint64_t)((int64_t)best - scores[word]) * LOG2E_Q10 + 2048) >> 12;
        uint32_t whole = exponent >> 8 < 31 ? (uint32_t)(exponent >> 8) : 31;
        uint32_t fraction = exponent >> 8 < 32 ? exponent & 255 : 255;
        total += (uint32_t)pack->exp2[fraction] >> whole;
    }
    int32_t top = 0;
    while (top < 31 && total >> (top + 1) != 0) {
        top++;
    }
    uint32_t fraction = (uint32_t)(((uint64_t)total << 8) >> top) & 255;
    int64_t log2_q12 = (int64_t)(top - 15) * 4096 + pack->log2[fraction];
    return best + (int32_t)((log2_q12 * LN2_Q16 + (1 << 17)) >> 18);
}
