#include <string.h>

#include "caption.h"
#include "caption_scores.h"
#include "fixed_q10.h"
#include "product_q10.h"

// ---- The work area

// `bytes` at *at, which moves on in steps of 4; NULL base only counts.
static void *take(uint8_t *base, size_t *at, size_t bytes) {
    size_t start = *at;
    *at += (bytes + 3) / 4 * 4;
    return base == NULL ? NULL : base + start;
}

static size_t lay_out(const caption_header_t *h, uint32_t beams, uint8_t *work, caption_t *c) {
    size_t at = 0, d = h->width;
    c->scores = take(work, &at, sizeof(*c->scores) * h->words);
    c->sum = take(work, &at, sizeof(*c->sum) * d);
    c->seen = take(work, &at, sizeof(*c->seen) * d * h->positions);
    c->wide = take(work, &at, sizeof(*c->wide) * 2 * d);
    c->picked = take(work, &at, sizeof(*c->picked) * d);
    c->low = take(work, &at, sizeof(*c->low) * (h->rank + 2u * h->states));
    c->given = take(work, &at, 2 * d);
    for (int side = 0; side < 2; side++) {
        for (uint32_t beam = 0; beam < beams; beam++) {
            c->states[side][beam].hidden = take(work, &at, d);
            c->states[side][beam].scan = take(work, &at, sizeof(int16_t) * d * h->states);
        }
    }
    return at;
}

size_t caption_work_bytes(const caption_pack_t *pack, uint32_t beams) {
    caption_t nowhere;
    return lay_out(&pack->header, beams, NULL, &nowhere);
}

void caption_init(const caption_pack_t *pack, uint32_t beams, void *work, caption_t *out) {
    memset(out, 0, sizeof(*out));
    out->pack = pack;
    out->beams = beams;
    lay_out(&pack->header, beams, work, out);
}

// The state of `from`, which is left as it is where it is needed `again`.
static void hand_on(
    const caption_pack_t *pack, caption_state_t *from, caption_state_t *to, bool again) {
    if (again) {
        memcpy(to->hidden, from->hidden, pack->header.width);
        memcpy(to->scan, from->scan, sizeof(int16_t) * pack->header.width * pack->header.states);
        return;
    }
    caption_state_t swapped = *from;
    *from = *to;
    *to = swapped;
}

// ---- A sentence

void caption_begin(caption_t *c, const int8_t *map) {
    const caption_header_t *h = &c->pack->header;
    for (uint32_t position = 0; position < h->positions; position++) {
        int16_t *seen = c->seen + position * h->width;
        const int16_t *places = c->pack->places + position * h->width;
        product_q10(&c->pack->view, map + (size_t)position * h->channels, seen);
        for (uint32_t i = 0; i < h->width; i++) {
            seen[i] = sat16(seen[i] + places[i]);
        }
    }
    memset(c->states[0][0].hidden, 0, h->width);
    memset(c->states[0][0].scan, 0, sizeof(int16_t) * h->width * h->states);
    memset(&c->open[0], 0, sizeof(c->open[0]));
    memset(&c->best, 0, sizeof(c->best));
    c->opened = 1;
    c->ended = c->steps = 0;
}

// The better mean a word stays, the end counted as one; the earlier one among equals.
static void end_sentence(caption_t *c, const caption_sentence_t *sentence) {
    int64_t count = sentence->count + 1, best_count = c->best.count + 1;
    if (c->ended++ == 0 || sentence->logp_q10 * best_count > c->best.logp_q10 * count) {
        c->best = *sentence;
    }
}

typedef struct {
    int64_t logp_q10;
    uint16_t word;
    uint8_t beam;
} candidate_t;

// Best first; one that came earlier stays before its equals. At most `most` are kept: where there are so
// many, `one` is better than the last.
static uint32_t insert(candidate_t *found, uint32_t count, uint32_t most, candidate_t one) {
    uint32_t at = count < most ? count++ : most - 1;
    for (; at > 0 && found[at - 1].logp_q10 < one.logp_q10; at--) {
        found[at] = found[at - 1];
    }
    found[at] = one;
    return count;
}

// Advances every open sentence; returns how many of the best continuations are in `found`.
static uint32_t extend(caption_t *c, uint32_t most, candidate_t *found) {
    uint32_t count = 0;
    for (uint32_t beam = 0; beam < c->opened; beam++) {
        caption_sentence_t *sentence = &c->open[beam];
        uint16_t last = sentence->count > 0 ? sentence->words[sentence->count - 1] : CAPTION_END;
        caption_advance(c, last, &c->states[0][beam]);
        const int32_t best = caption_scores(c->pack, c->states[0][beam].hidden, c->scores);
        int64_t before = sentence->logp_q10 - caption_log_sum(c->pack, c->scores, best);
        const uint32_t words = c->pack->header.words;
        // Where one is kept, no other than the best comes in.
        const int64_t least = most == 1 ? (int64_t)best - 1 : INT64_MIN;
        for (uint32_t word = 0; word < words; word++) {
            int64_t above = count < most ? least : found[most - 1].logp_q10 - before;
            if (above >= best) {
                break;
            }
            word = caption_next(c->scores, words, word, above < least ? least : above);
            if (word < words) {
                candidate_t one = {before + c->scores[word], (uint16_t)word, (uint8_t)beam};
                count = insert(found, count, most, one);
            }
        }
    }
    return count;
}

// Whether one of the candidates from `from` on goes on with a beam.
static bool follows(const candidate_t *found, uint32_t from, uint32_t count, uint8_t beam) {
    for (; from < count; from++) {
        if (found[from].beam == beam) {
            return true;
        }
    }
    return false;
}

bool caption_step(caption_t *c) {
    if (c->opened == 0) {
        return false;
    }
    candidate_t found[CAPTION_MAX_BEAMS];
    uint32_t count = extend(c, c->beams - c->ended, found), opened = 0;
    for (uint32_t i = 0; i < count; i++) {
        caption_sentence_t *sentence = &c->next[opened];
        *sentence = c->open[found[i].beam];
        sentence->logp_q10 = found[i].logp_q10;
        if (found[i].word == CAPTION_END) {
            end_sentence(c, sentence);
            continue;
        }
        sentence->words[sentence->count++] = found[i].word;
        bool again = follows(found, i + 1, count, found[i].beam);
        hand_on(c->pack, &c->states[0][found[i].beam], &c->states[1][opened], again);
        opened++;
    }
    for (uint32_t i = 0; i < opened; i++) {
        c->open[i] = c->next[i];
        caption_state_t swapped = c->states[0][i];
        c->states[0][i] = c->states[1][i];
        c->states[1][i] = swapped;
    }
    c->opened = opened;
    if (++c->steps == c->pack->header.longest) {
        for (uint32_t i = 0; i < opened; i++) {
            end_sentence(c, &c->open[i]);
        }
        c->opened = 0;
    }
    return c->opened > 0;
}

size_t caption_text(const caption_t *c, char *out, size_t size) {
    size_t written = 0;
    for (uint32_t i = 0; i < c->best.count; i++) {
        const uint16_t *at = c->pack->text_at + c->best.words[i];
        size_t bytes = at[1] - at[0], space = written > 0;
        if (space + bytes > size - written) {
            break;
        }
        if (space) {
            out[written++] = ' ';
        }
        memcpy(out + written, c->pack->text + at[0], bytes);
        written += bytes;
    }
    return written;
}
