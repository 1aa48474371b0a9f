/* lstm_attention: the captioner's rival, a word of an LSTM with Bahdanau's additive attention, in the same
 * integers and on the same products as the captioner itself. The bench alone has it.
 *
 * D is the width of everything: the view of the map, the LSTM, the words. What both decoders have (view,
 * places, words and their scores, tables) is the caption pack's. lstm_attention.py is its definition. */
#ifndef MOTEYE_BENCH_LSTM_ATTENTION_H
#define MOTEYE_BENCH_LSTM_ATTENTION_H

#include "caption_pack.h"

#define LSTM_MAX_POSITIONS 256

typedef struct {
    const caption_pack_t *pack;
    caption_product_t ask, gates, leave; // [D][D], [4 D][3 D]: input, forget, new, output, [D][D]
    const int16_t *weigh;                // Q12 [D]
    const int16_t *tanh;                 // Q15 [1024] of [-8, 8)
    caption_factor_t context, out;
    int8_t *given;   // [3 D]: word, context, and the hidden state, Q7
    int16_t *cell;   // Q12 [D]
    int16_t *wide;   // Q10 [4 D]
    int32_t *scores; // Q10 [V]
} lstm_attention_t;

/* lstm_attention_word: a word further.
 *   seen  Q10 [P][D], as caption_begin makes it
 *   word  the one before
 * Returns the likeliest one; given and cell are renewed. */
uint16_t lstm_attention_word(const lstm_attention_t *lstm, const int16_t *seen, uint16_t word);

/* The parts of it that are not products; their Helium ways are in lstm_attention_m55.c.
 *
 * lstm_energy: weigh · tanh(seen + asked) of one position, Q10. */
int32_t lstm_energy(const int16_t *seen, const int16_t *asked, const int16_t *weigh,
    const int16_t *tanh, uint32_t width);

/* lstm_mix: the sum of share times position, saturated; share Q15 [positions]. */
void lstm_mix(
    const int16_t *seen, const uint16_t *share, uint32_t positions, uint32_t width, int16_t *out);

/* lstm_cells: the LSTM behind its product; hidden Q7. */
void lstm_cells(const int16_t *gates, const uint16_t *sigmoid, const int16_t *tanh, uint32_t width,
    int16_t *cell, int8_t *hidden);

#endif
