#include "caption.h"
#include "fixed_q10.h"
#include "layer_norm_q10.h"
#include "modulate_q10.h"
#include "product_q10.h"
#include "selective_scan.h"

// A word's vector at the scale that all words share.
static void word_vector(const caption_pack_t *pack, uint16_t word, int8_t *out) {
    const int8_t *row = pack->words + (size_t)word * pack->header.width;
    for (uint32_t i = 0; i < pack->header.width; i++) {
        out[i] = (int8_t)half_up(row[i] * pack->gain[word], 15);
    }
}

// picked: what the hidden state lets through of the map, its mean over the positions.
static void pick(caption_t *c, const int8_t *hidden) {
    const caption_header_t *h = &c->pack->header;
    product_q10(&c->pack->spatial, hidden, c->wide);
    modulate_sum_q10(c->seen, c->wide, h->positions, h->width, c->sum);
    for (uint32_t i = 0; i < h->width; i++) {
        c->picked[i] = sat16(divide_half_up_32(c->sum[i], h->positions));
    }
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
    for (uint32_t i = 0; i < h->width; i++) {
        c->sum[i] = (int32_t)scaled(c->given[i], h->word.multiplier, h->word.shift) + c->picked[i];
    }
    hardswish_all_q10(c->wide, 2u * h->width);
    quantise_q10(u, h->width, h->scan_in, c->given);
    product_q10(&pack->select, c->given, c->low);
    const int16_t *b = c->low + h->rank;
    selective_scan(pack, c->low, b, b + h->states, u, state->scan, u);
    for (uint32_t i = 0; i < h->width; i++) {
        u[i] = sat16(half_up(u[i] * gate[i], 10));
    }
    quantise_q10(u, h->width, h->scan_out, c->given);
    product_q10(&pack->leave, c->given, c->picked);
    for (uint32_t i = 0; i < h->width; i++) {
        c->sum[i] += c->picked[i];
    }
}

void caption_advance(caption_t *c, uint16_t word, caption_state_t *state) {
    const caption_pack_t *pack = c->pack;
    const caption_header_t *h = &pack->header;
    pick(c, state->hidden);
    modulate(c);
    word_vector(pack, word, c->given);
    quantise_q10(c->picked, h->width, h->context, c->given + h->width);
    product_q10(&pack->enter, c->given, c->wide);
    scan_and_add(c, state);
    layer_norm_q10(c->sum, h->width, c->picked);
    for (uint32_t i = 0; i < h->width; i++) {
        int32_t out = half_up(c->picked[i] * pack->gamma[i], 14) + pack->beta[i];
        state->hidden[i] =
            (int8_t)clamp_wide(scaled(out, h->out.multiplier, h->out.shift), -127, 127);
    }
}
