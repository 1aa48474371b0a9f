/* caption: a sentence about a map of the encoder, one word at a time.
 *
 * caption_begin takes a map; each caption_step extends every open sentence by one word (beam search;
 * one beam is greedy) and tells whether there is more to do; then the best sentence stands in
 * `best`. The work area holds everything and never grows: what a step costs does not depend on how
 * many went before. */
#ifndef MOTEYE_CAPTION_H
#define MOTEYE_CAPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caption_pack.h"

#define CAPTION_MAX_BEAMS 4

typedef struct {
    uint16_t words[CAPTION_MAX_LONGEST];
    uint16_t count;   // without the end
    int64_t logp_q10; // natural logarithm of its probability, the end's with it
} caption_sentence_t;

typedef struct {
    int8_t *hidden; // [D]
    int16_t *scan;  // [D][N]
} caption_state_t;

typedef struct {
    const caption_pack_t *pack;
    int16_t *seen;                                // Q10 [P][D]
    int32_t *scores;                              // Q10 [V]
    int32_t *sum;                                 // Q10 [D]
    int16_t *wide;                                // Q10 [2 D]
    int16_t *picked;                              // Q10 [D]
    int16_t *low;                                 // Q10 [R + 2 N]
    int8_t *given;                                // [2 D]
    caption_state_t states[2][CAPTION_MAX_BEAMS]; // those of `open`, and where the next ones go
    caption_sentence_t open[CAPTION_MAX_BEAMS], next[CAPTION_MAX_BEAMS];
    caption_sentence_t best;
    uint32_t beams, opened, ended, steps;
} caption_t;

/* caption_work_bytes: what caption_init needs, for 1..CAPTION_MAX_BEAMS beams. */
size_t caption_work_bytes(const caption_pack_t *pack, uint32_t beams);

/* caption_init: lay the work area out.
 *   pack  as caption_pack_open filled it, for as long as *out is used
 *   work  caption_work_bytes, aligned to 4 */
void caption_init(const caption_pack_t *pack, uint32_t beams, void *work, caption_t *out);

/* caption_begin: forget what was said, and look at a map int8[P][C]. */
void caption_begin(caption_t *caption, const int8_t *map);

/* caption_step: one word further. Returns whether a sentence is still open; where none is,
 * `best` holds the caption, and a further step changes nothing. Needs a caption_begin before. */
bool caption_step(caption_t *caption);

/* caption_text: `best` in words with spaces between, UTF-8, without an end byte.
 *   out  char[size]; whole words only, as many as there is room for
 * Returns the bytes written. */
size_t caption_text(const caption_t *caption, char *out, size_t size);

/* caption_advance: the state after one more word; its hidden vector is what scores are made of.
 * For caption_step and tests. */
void caption_advance(caption_t *caption, uint16_t word, caption_state_t *state);

#endif
