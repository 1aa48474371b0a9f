#include "caption_scores_m55.h"
#include "../fixed_q10.h"
#include "dot_rows_m55.h"
#include "fixed_q10_m55.h"

#if MOTEYE_M55

bool caption_scores_m55(
    const caption_pack_t *pack, const int8_t *hidden, int32_t *scores, int32_t *best) {
    const caption_header_t *h = &pack->header;
    const uint32_t words = h->words, width = h->width;
    if (words < 8 || h->logit.shift > M55_SCALED_SHIFT) {
        return false;
    }
    const int32x4_t multiplier = vdupq_n_s32(h->logit.multiplier);
    int32x4_t most = vdupq_n_s32(INT32_MIN);
    for (uint32_t i = 0; i < words; i += 4) {
        // The last four do words again where they are not a multiple.
        uint32_t word = words - i < 4 ? words - 4 : i;
        int32x4_t sums = m55_dot_rows(hidden, pack->words + word * width, width);
        // Half up of sum * gain / 2^15: the 17 bits between it and vrmulh's 32 are put in front.
        int32x4_t gain = vreinterpretq_s32_u32(vldrhq_u32(pack->gain + word));
        sums = vrmulhq_s32(vshlq_n_s32(sums, 2), vshlq_n_s32(gain, 15));
        sums = vrshlq_n_s32(vmulhq_s32(sums, multiplier), h->logit.shift + 1);
        sums = vaddq_s32(sums, vldrwq_s32(pack->word_bias + word));
        vstrwq_s32(scores + word, sums);
        most = vmaxq_s32(most, i == 0 ? most : sums);
    }
    // The first four by themselves, without the unknown word.
    most = vmaxq_s32(most, vsetq_lane_s32(INT32_MIN, vldrwq_s32(scores), CAPTION_UNKNOWN));
    *best = vmaxvq_s32(INT32_MIN, most);
    return true;
}

uint32_t caption_skip_m55(const int32_t *scores, uint32_t n, uint32_t from, int32_t least) {
    for (; from + 16 <= n; from += 16) {
        int32x4_t first = vmaxq_s32(vldrwq_s32(scores + from), vldrwq_s32(scores + from + 4));
        int32x4_t second = vmaxq_s32(vldrwq_s32(scores + from + 8), vldrwq_s32(scores + from + 12));
        if (vcmpgtq_n_s32(vmaxq_s32(first, second), least) != 0) {
            break;
        }
    }
    return from;
}

// min(best - score, 65,535) of eight words; more than what exp makes 0 of.
static inline uint16x8_t away_from(int32x4_t best, int32x4_t even, int32x4_t odd) {
    uint16x8_t away = vqmovnbq_u32(vdupq_n_u16(0), vreinterpretq_u32_s32(vsubq_s32(best, even)));
    return vqmovntq_u32(away, vreinterpretq_u32_s32(vsubq_s32(best, odd)));
}

// Their exp, Q15. vrmulh rounds as half_up(away * LOG2E_Q10, 12) does.
static inline uint16x8_t exps_of(const uint16_t *exp2, uint16x8_t away) {
    uint16x8_t exponent = vrmulhq_u16(away, vdupq_n_u16(LOG2E_Q10 << 4));
    uint16x8_t part =
        vldrhq_gather_shifted_offset_u16(exp2, vmovlbq_u8(vreinterpretq_u8_u16(exponent)));
    return vshlq_u16(part, vnegq_s16(vreinterpretq_s16_u16(vshrq_n_u16(exponent, 8))));
}

uint32_t caption_exp_sum_m55(
    const uint16_t *exp2, const int32_t *scores, uint32_t n, int32_t best) {
    const int32x4_t most = vdupq_n_s32(best);
    uint32_t total = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint16x8_t away = away_from(most, vldrwq_s32(scores + i), vldrwq_s32(scores + i + 4));
        total = vaddvaq_u16(total, exps_of(exp2, away));
    }
    if (i < n) {
        // Four more of even and of odd lanes, as far as there are any.
        uint32_t even = n - i < 4 ? n - i : 4;
        int32x4_t first = vldrwq_z_s32(scores + i, vctp32q(even));
        int32x4_t second = vldrwq_z_s32(scores + i + 4, vctp32q(n - i - even));
        uint16x8_t exps = exps_of(exp2, away_from(most, first, second));
        uint32x4_t firsts = vmovlbq_u16(exps), seconds = vmovltq_u16(exps);
        total = vaddvaq_p_u32(total, firsts, vctp32q(even));
        total = vaddvaq_p_u32(total, seconds, vctp32q(n - i - even));
    }
    return total;
}

#endif
