#include "caption_scores_m55.h"
#include "../fixed_q10.h"
#include "dot_rows_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

bool caption_scores_m55(const caption_pack_t *pack, const int8_t *hidden, int32_t *scores) {
    const caption_header_t *h = &pack->header;
    const uint32_t words = h->words, width = h->width;
    if (words < 4 || h->logit.shift > M55_SCALED_SHIFT) {
        return false;
    }
    const int32x4_t multiplier = vdupq_n_s32(h->logit.multiplier);
    const int32x4_t down = vdupq_n_s32(h->logit.shift + 1);
    for (uint32_t i = 0; i < words; i += 4) {
        // The last four do words again where they are not a multiple.
        uint32_t word = words - i < 4 ? words - 4 : i;
        int32x4_t sums = m55_dot_rows(hidden, pack->words + word * width, width);
        // Half up of sum * gain / 2^15: the 17 bits between it and vrmulh's 32 are put in front.
        int32x4_t gain = vreinterpretq_s32_u32(vldrhq_u32(pack->gain + word));
        sums = vrmulhq_s32(vshlq_n_s32(sums, 2), vshlq_n_s32(gain, 15));
        sums = m55_scaled(sums, multiplier, down);
        vstrwq_s32(scores + word, vaddq_s32(sums, vldrwq_s32(pack->word_bias + word)));
    }
    return true;
}

int32_t caption_best_m55(const int32_t *scores, uint32_t n) {
    int32_t best = INT32_MIN;
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        best = vmaxvq_p_s32(best, vldrwq_z_s32(scores + i, active), active);
    }
    return best;
}

uint32_t caption_skip_m55(const int32_t *scores, uint32_t n, uint32_t from, int32_t least) {
    while (from + 4 <= n && vcmpgtq_n_s32(vldrwq_s32(scores + from), least) == 0) {
        from += 4;
    }
    return from;
}

uint32_t caption_exp_sum_m55(
    const uint16_t *exp2, const int32_t *scores, uint32_t n, int32_t best) {
    const uint32x4_t far = vdupq_n_u32(EXP_FAR_Q10);
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i += 4) {
        mve_pred16_t active = vctp32q(n - i);
        int32x4_t score = vldrwq_z_s32(scores + i, active);
        uint32x4_t away = vreinterpretq_u32_s32(vsubq_s32(vdupq_n_s32(best), score));
        uint32x4_t exponent = vrshrq_n_u32(vmulq_n_u32(vminq_u32(away, far), LOG2E_Q10), 12);
        uint32x4_t fraction = vandq_u32(exponent, vdupq_n_u32(255));
        int32x4_t whole = vreinterpretq_s32_u32(vshrq_n_u32(exponent, 8));
        uint32x4_t part = vldrhq_gather_shifted_offset_z_u32(exp2, fraction, active);
        total = vaddvaq_p_u32(total, vshlq_u32(part, vnegq_s32(whole)), active);
    }
    return total;
}

#endif
