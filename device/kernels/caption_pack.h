/* caption_pack: a captioner's weights (.cpk), read in place.
 *
 * Header, then arrays without gaps but for alignment, in the order of caption_pack_t's fields from
 * `view` on (within a product: bias and multiplier of all products first, their shifts and weights
 * at the end); each begins at a multiple of 4, weights of one byte at a multiple of 16. Q10 means a
 * real number times 2^10. What the numbers do is written once, in integers, by
 * training/moteye_training/captions/integer.py; the kernels here agree with it to the last bit. */
#ifndef MOTEYE_CAPTION_PACK_H
#define MOTEYE_CAPTION_PACK_H

#include <stddef.h>
#include <stdint.h>

#define CAPTION_PACK_VERSION 1
#define CAPTION_END 0     // ends a sentence, and stands before its first word
#define CAPTION_UNKNOWN 1 // a word outside the list; never said
#define CAPTION_MAX_LONGEST 64
#define CAPTION_MAX_STATES 64
#define CAPTION_MAX_RANK 8

typedef struct {
    int32_t multiplier, shift; // x * multiplier / 2^(31 - shift)
} caption_factor_t;

typedef struct {
    uint8_t magic[4]; // "MECP"
    uint16_t version, header_bytes;
    uint32_t crc32; // of bytes [12, size_bytes)
    uint32_t size_bytes;
    uint8_t encoder_hash[8]; // whose map is read
    uint16_t positions, channels;
    uint16_t width, states, rank; // D, N, R
    uint16_t words, longest;      // V; words of a sentence
    uint16_t before_end;          // operators of the encoder behind the one that gives the map
    uint16_t text_bytes;
    uint8_t state_bits; // fraction bits of the scan's state
    int8_t map_zero;    // the map's zero point, already in the view's bias
    uint32_t reserved;  // 0
    caption_factor_t word, picked, context, scan_in, scan_out, out, logit;
} caption_header_t;

// int8[columns] -> int16 Q10 [rows]
typedef struct {
    uint32_t rows, columns;
    const int32_t *bias, *multiplier;
    const int8_t *shift, *weight;
} caption_product_t;

typedef struct {
    caption_header_t header;
    caption_product_t view, spatial, channel, enter, select, leave;
    const int32_t *word_bias;   // Q10 [V]
    const int16_t *places;      // Q10 [P][D]
    const int16_t *step_weight; // Q12 [D][R]
    const int16_t *step_bias;   // Q10 [D]
    const uint16_t *decay;      // Q8 [D][N], of the exponent to base 2
    const int16_t *skip;        // Q12 [D]
    const int16_t *gamma;       // Q12 [D]
    const int16_t *beta;        // Q10 [D]
    const uint16_t *gain;       // Q15 [V], of a word's row
    const uint16_t *sigmoid;    // Q15 [1024] of [-8, 8)
    const uint16_t *softplus;   // Q12 [1024] of [-8, 8)
    const uint16_t *exp2;       // Q15 [256] of 2^-[0, 1)
    const uint16_t *log2;       // Q12 [256] of log2 [1, 2)
    const uint16_t *text_at;    // [V + 1]
    const uint8_t *text;
    const int8_t *words; // [V][D]
} caption_pack_t;

/* caption_pack_open: check a pack and fill *out. The pack must stay where it is and unchanged.
 *   bytes  aligned to 4, `size` long
 * Returns MOTEYE_OK, or a reason (status.h) with *out left as it was. */
int caption_pack_open(const void *bytes, size_t size, caption_pack_t *out);

#endif
