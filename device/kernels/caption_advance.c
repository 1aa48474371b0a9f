#include "advance_q10.h"
#include "caption.h"
#include "layer_norm_q10.h"
#include "modulate_q10.h"
#include "product_q10.h"
#include "selective_scan.h"

// picked: what the hidden state lets through of the map, its mean over the positions.
static void pick(caption_t *c, const int8_t *hidden) {
    const caption_header_t *h = &c->pack->header;
    product_q10(&c->pack->spatial, hidden, c->wide);
    modulate_sum_q10(c->seen, c->wide, h->positions, h->width, c->sum);
    mean_q10(c->sum, h->positions, h->width, c->picked);
}

// picked, each channel times the sigmoid of what all channels say.
static void modulate(caption_t *c) {
    const caption_header_t *h = &c->pack->header;
    quantise_q10(c->picked, h->width, h->picked, c->given);
    product_q10(&c->pack->channel, c->given, c->wide);
    modulate_channels_q10(c->picked, c->wide, h->width, c->pack->sigmoid);
}

// sum becomes word + context + y; `wide` holds the two halves of `enter`.
static void scan_and_add(caption_t *c, caption_state_t *state) {
    const caption_pack_t *pack = c->pack;
    const caption_header_t *h = &pack->header;
    int16_t *u = c->wide, *gate = c->wide + h->width;
    add_word_q10(c->given, h->word, c->picked, h->width, c->sum);
    hardswish_all_q10(c->wide, 2u * h->width);
    quantise_q10(u, h->width, h->scan_in, c->given);
    product_q10(&pack->select, c->given, c->low);
    const int16_t *b = c->low + h->rank;
    selective_scan(pack, c->low, b, b + h->states, u, state->scan, u);
    gate_q10(u, gate, h->width);
    quantise_q10(u, h->width, h->scan_out, c->given);
    product_q10(&pack->leave, c->given, c->picked);
    add_q10(c->picked, h->width, c->sum);
}

void caption_advance(caption_t *c, uint16_t word, caption_state_t *state) {
    const caption_pack_t *pack = c->pack;
    const caption_header_t *h = &pack->header;
    pick(c, state->hidden);
    modulate(c);
    const int8_t *row = pack->words + (size_t)word * h->width;
    word_vector_s8(row, pack->gain[word], h->width, c->given);
    quantise_q10(c->picked, h->width, h->context, c->given + h->width);
    product_q10(&pack->enter, c->given, c->wide);
    scan_and_add(c, state);
    layer_norm_q10(c->sum, h->width, c->picked);
    hidden_s8(c->picked, pack->gamma, pack->beta, h->width, h->out, state->hidden);
}
