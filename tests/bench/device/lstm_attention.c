#include "lstm_attention.h"
#include "caption_scores.h"
#include "fixed_q10.h"
#include "m55/target_m55.h"
#include "product_q10.h"

#if !MOTEYE_M55

int32_t lstm_energy(const int16_t *seen, const int16_t *asked, const int16_t *weigh,
    const int16_t *tanh, uint32_t width) {
    int64_t acc = 0;
    for (uint32_t i = 0; i < width; i++) {
        acc += (int32_t)weigh[i] * tanh[table_at(seen[i] + asked[i])];
    }
    return (int32_t)half_up_wide(acc, 17);
}

void lstm_mix(
    const int16_t *seen, const uint16_t *share, uint32_t positions, uint32_t width, int16_t *out) {
    for (uint32_t i = 0; i < width; i++) {
        int32_t acc = 0;
        for (uint32_t p = 0; p < positions; p++) {
            acc += share[p] * seen[p * width + i];
        }
        out[i] = sat16(half_up(acc, 15));
    }
}

void lstm_cells(const int16_t *gates, const uint16_t *sigmoid, const int16_t *tanh, uint32_t width,
    int16_t *cell, int8_t *hidden) {
    for (uint32_t i = 0; i < width; i++, gates++) {
        int32_t enter = sigmoid[table_at(gates[0])], keep = sigmoid[table_at(gates[width])];
        int32_t new = tanh[table_at(gates[2 * width])];
        int32_t leave = sigmoid[table_at(gates[3 * width])];
        cell[i] = sat16(half_up(keep * cell[i], 15) + half_up(enter * new, 18));
        int32_t shown = leave * tanh[table_at(half_up(cell[i], 2))];
        hidden[i] = (int8_t)clamp(half_up(shown, 23), -127, 127);
    }
}

#endif

// Energies to shares that add up to 1 or a little less, Q15.
static void share_out(
    const uint16_t *exp2, const int32_t *energy, uint32_t positions, uint16_t *share) {
    int32_t best = INT32_MIN;
    uint32_t total = 0;
    for (uint32_t p = 0; p < positions; p++) {
        best = energy[p] > best ? energy[p] : best;
    }
    for (uint32_t p = 0; p < positions; p++) {
        uint32_t away = (uint32_t)(best - energy[p]);
        uint32_t exponent = ((away < EXP_FAR_Q10 ? away : EXP_FAR_Q10) * LOG2E_Q10 + 2048) >> 12;
        uint32_t whole = exponent >> 8;
        share[p] = (uint16_t)((uint32_t)exp2[exponent & 255] >> (whole < 31 ? whole : 31));
        total += share[p];
    }
    for (uint32_t p = 0; p < positions; p++) {
        share[p] = (uint16_t)(((uint32_t)share[p] << 15) / total);
    }
}

static void attend(const lstm_attention_t *l, const int16_t *seen) {
    const uint32_t width = l->pack->header.width, positions = l->pack->header.positions;
    int32_t energy[LSTM_MAX_POSITIONS];
    uint16_t share[LSTM_MAX_POSITIONS];
    product_q10(&l->ask, l->given + 2 * width, l->wide);
    for (uint32_t p = 0; p < positions; p++) {
        energy[p] = lstm_energy(seen + p * width, l->wide, l->weigh, l->tanh, width);
    }
    share_out(l->pack->exp2, energy, positions, share);
    lstm_mix(seen, share, positions, width, l->wide);
    quantise_q10(l->wide, width, l->context, l->given + width);
}

uint16_t lstm_attention_word(const lstm_attention_t *l, const int16_t *seen, uint16_t word) {
    const caption_pack_t *pack = l->pack;
    const uint32_t width = pack->header.width, words = pack->header.words;
    const int8_t *row = pack->words + (size_t)word * width;
    attend(l, seen);
    for (uint32_t i = 0; i < width; i++) {
        l->given[i] = (int8_t)half_up(row[i] * pack->gain[word], 15);
    }
    product_q10(&l->gates, l->given, l->wide);
    lstm_cells(l->wide, pack->sigmoid, l->tanh, width, l->cell, l->given + 2 * width);
    product_q10(&l->leave, l->given + 2 * width, l->wide);
    quantise_q10(l->wide, width, l->out, l->given);
    int32_t best = caption_scores(pack, l->given, l->scores);
    caption_log_sum(pack, l->scores, best);
    return (uint16_t)caption_next(l->scores, words, 0, (int64_t)best - 1);
}
