#include <stdbool.h>
#include <string.h>

#include "caption_pack.h"
#include "crc32_ieee.h"
#include "requantize.h"
#include "status.h"
#include "utf8.h"

#define PRODUCTS 6
#define BIAS_LIMIT (1 << 30)
#define ONE_Q15 32768
// Of what is scaled, so that it fits 32 bits (scale_of): halves within 2^18, a word's bytes.
#define MOST_SHIFT 11
#define MOST_WORD_SHIFT 14

_Static_assert(sizeof(caption_header_t) == 104, "header layout");

static uint64_t aligned(uint64_t at, uint64_t step) {
    return (at + step - 1) / step * step;
}

// Takes `bytes` at the next multiple of `step`; *at runs past the end where there are too few.
static const void *take(const uint8_t *pack, uint64_t *at, uint64_t step, uint64_t bytes) {
    uint64_t start = aligned(*at, step);
    *at = start + bytes;
    return pack + start;
}

static bool sizes_ok(const caption_header_t *h) {
    return h->positions >= 1 && h->positions <= 256 && h->channels >= 1 && h->channels <= 4096 &&
           h->width >= 1 && h->width <= 1024 && h->states >= 1 && h->states <= CAPTION_MAX_STATES &&
           h->rank >= 1 && h->rank <= CAPTION_MAX_RANK && h->words >= 3 && h->words <= 32768 &&
           h->longest >= 1 && h->longest <= CAPTION_MAX_LONGEST && h->before_end >= 1;
}

static bool factor_ok(caption_factor_t factor, int32_t most_shift) {
    return requantize_ok(factor.multiplier, factor.shift) && factor.shift <= most_shift;
}

static bool quantisation_ok(const caption_header_t *h) {
    return h->state_bits >= 1 && h->state_bits <= 14 && factor_ok(h->word, MOST_WORD_SHIFT) &&
           factor_ok(h->picked, MOST_SHIFT) && factor_ok(h->context, MOST_SHIFT) &&
           factor_ok(h->scan_in, MOST_SHIFT) && factor_ok(h->scan_out, MOST_SHIFT) &&
           factor_ok(h->out, MOST_SHIFT) && factor_ok(h->logit, 0);
}

static bool biases_ok(const int32_t *bias, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (bias[i] < -BIAS_LIMIT || bias[i] > BIAS_LIMIT) {
            return false;
        }
    }
    return true;
}

static bool product_ok(const caption_product_t *product) {
    channel_quant_t quant = {product->bias, product->multiplier, product->shift};
    return channel_quant_ok(&quant, product->rows) && biases_ok(product->bias, product->rows);
}

static bool at_most(const uint16_t *values, uint32_t count, uint16_t most) {
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] > most) {
            return false;
        }
    }
    return true;
}

// Whether the words fill the text, one behind the other.
static bool texts_ok(const caption_pack_t *pack) {
    const uint16_t *at = pack->text_at;
    for (uint32_t word = 0; word < pack->header.words; word++) {
        if (at[word] > at[word + 1]) {
            return false;
        }
    }
    return at[0] == 0 && at[pack->header.words] == pack->header.text_bytes;
}

// Each word by itself, so that a caption cut behind a word never ends inside a character.
static bool words_ok(const caption_pack_t *pack) {
    const uint16_t *at = pack->text_at;
    for (uint32_t word = 0; word < pack->header.words; word++) {
        if (!utf8_ok(pack->text + at[word], at[word + 1] - at[word])) {
            return false;
        }
    }
    return true;
}

// Sets every array's place; returns the bytes of a pack of these sizes.
static uint64_t place(const uint8_t *bytes, caption_pack_t *p) {
    const caption_header_t *h = &p->header;
    uint64_t at = sizeof(*h), d = h->width, v = h->words;
    caption_product_t *products[PRODUCTS] = {
        &p->view, &p->spatial, &p->channel, &p->enter, &p->select, &p->leave};
    uint32_t low = h->rank + 2u * h->states;
    uint32_t rows[PRODUCTS] = {h->width, h->width, h->width, 2u * h->width, low, h->width};
    uint32_t columns[PRODUCTS] = {
        h->channels, h->width, h->width, 2u * h->width, h->width, h->width};
    for (int i = 0; i < PRODUCTS; i++) {
        products[i]->rows = rows[i];
        products[i]->columns = columns[i];
        products[i]->bias = take(bytes, &at, 4, 4u * rows[i]);
        products[i]->multiplier = take(bytes, &at, 4, 4u * rows[i]);
    }
    p->word_bias = take(bytes, &at, 4, 4 * v);
    p->places = take(bytes, &at, 4, 2 * d * h->positions);
    p->step_weight = take(bytes, &at, 4, 2 * d * h->rank);
    p->step_bias = take(bytes, &at, 4, 2 * d);
    p->decay = take(bytes, &at, 4, 2 * d * h->states);
    p->skip = take(bytes, &at, 4, 2 * d);
    p->gamma = take(bytes, &at, 4, 2 * d);
    p->beta = take(bytes, &at, 4, 2 * d);
    p->gain = take(bytes, &at, 4, 2 * v);
    p->sigmoid = take(bytes, &at, 4, 2 * 1024);
    p->softplus = take(bytes, &at, 4, 2 * 1024);
    p->exp2 = take(bytes, &at, 4, 2 * 256);
    p->log2 = take(bytes, &at, 4, 2 * 256);
    p->text_at = take(bytes, &at, 4, 2 * (v + 1));
    for (int i = 0; i < PRODUCTS; i++) {
        products[i]->shift = take(bytes, &at, 4, rows[i]);
    }
    p->text = take(bytes, &at, 4, h->text_bytes);
    for (int i = 0; i < PRODUCTS; i++) {
        products[i]->weight = take(bytes, &at, 16, (uint64_t)rows[i] * columns[i]);
    }
    p->words = take(bytes, &at, 16, v * d);
    return aligned(at, 4);
}

static int check_header(const uint8_t *bytes, size_t size, const caption_header_t *h) {
    if (memcmp(h->magic, "MECP", 4) != 0) {
        return MOTEYE_ERR_MAGIC;
    }
    if (h->version != CAPTION_PACK_VERSION) {
        return MOTEYE_ERR_VERSION;
    }
    if (h->size_bytes != size) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if (crc32_ieee(bytes + 12, size - 12) != h->crc32) {
        return MOTEYE_ERR_CRC;
    }
    if (h->header_bytes != sizeof(*h) || h->reserved != 0) {
        return MOTEYE_ERR_HEADER;
    }
    if (!sizes_ok(h)) {
        return MOTEYE_ERR_SHAPE;
    }
    return quantisation_ok(h) ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

int caption_pack_open(const void *bytes, size_t size, caption_pack_t *out) {
    caption_pack_t pack;
    if (bytes == NULL || size < sizeof(pack.header)) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if ((uintptr_t)bytes % 4 != 0) {
        return MOTEYE_ERR_ALIGN;
    }
    memcpy(&pack.header, bytes, sizeof(pack.header));
    int status = check_header(bytes, size, &pack.header);
    if (status != MOTEYE_OK) {
        return status;
    }
    if (place(bytes, &pack) != size) {
        return MOTEYE_ERR_HEADER;
    }
    if (!product_ok(&pack.view) || !product_ok(&pack.spatial) || !product_ok(&pack.channel) ||
        !product_ok(&pack.enter) || !product_ok(&pack.select) || !product_ok(&pack.leave) ||
        !biases_ok(pack.word_bias, pack.header.words) ||
        !at_most(pack.gain, pack.header.words, ONE_Q15) || !at_most(pack.sigmoid, 1024, ONE_Q15) ||
        !at_most(pack.exp2, 256, ONE_Q15)) {
        return MOTEYE_ERR_QUANT;
    }
    if (!texts_ok(&pack)) {
        return MOTEYE_ERR_NAMES;
    }
    if (!words_ok(&pack)) {
        return MOTEYE_ERR_WORDS;
    }
    *out = pack;
    return MOTEYE_OK;
}
