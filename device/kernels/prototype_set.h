/* prototype_set: a prototype set file (formats 1 and 2, little-endian) opened in place.
 *
 *   header   64 bytes, prototype_set_header_t
 * format 1:
 *   planes   for widths w = 16, 16, 32, 64, 128 (dims 16, 32, 64, 128, 256), plane_count of them:
 *            nibbles uint8[count][w/2], row-major, low nibble first, two's complement
 *            scale   uint8[count], then zeros to a multiple of 4 from the start of the file
 *            mult    uint16[count]
 *            offset  int16[count], then zeros to a multiple of 4
 * format 2, a row is one codeword of each of `parts` sub-vectors:
 *   widths   uint8[parts], which add up to the dimension of plane_count planes
 *   scales   uint8[parts], then zeros to a multiple of 4
 *   words    part after part int8[256][width]
 *   codes    uint8[count][parts], then zeros to a multiple of 4
 *   mult     uint16[count], offset int16[count]
 * both:
 *   names    count times: length uint8, UTF-8 text; in format 2 they may be left out
 *   canaries canary_count times: row uint16, embedding int8[dim of all planes]; to the end
 *
 * The CRC covers everything behind the header. The bytes must stay where they are and unchanged
 * while in use. */
#ifndef MOTEYE_PROTOTYPE_SET_H
#define MOTEYE_PROTOTYPE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define PROTOTYPE_SET_MAX_PLANES 5
#define PROTOTYPE_SET_MAX_DIM 256 // the last of MOTEYE_SET_DIMS
#define PROTOTYPE_SET_MAX_SHIFT 63

typedef struct {
    uint8_t magic[4]; // "MEPS"
    uint8_t format, bits, plane_count, preprocessing;
    uint8_t encoder_hash[8];
    uint32_t epoch, number;
    uint16_t count;
    int16_t report_q8;
    uint32_t size_bytes;
    uint32_t names_offset, names_bytes;
    uint32_t crc32; // of bytes [64, size_bytes)
    uint8_t shift[PROTOTYPE_SET_MAX_PLANES];
    uint8_t canary_count;
    uint8_t parts;        // of a codebook; 0 in format 1
    uint8_t reserved[13]; // 0
} prototype_set_header_t;

typedef struct {
    const uint8_t *nibbles; // [count][width/2]
    const uint8_t *scale;   // [count]
    const uint16_t *mult;   // [count]
    const int16_t *offset;  // [count]
    uint32_t width;
} prototype_plane_t;

typedef struct {
    const uint8_t *widths, *scales; // [parts]
    const int8_t *words;            // part after part: [256][width]
    const uint8_t *codes;           // [count][parts]
    const uint16_t *mult;           // [count]
    const int16_t *offset;          // [count]
} prototype_codebook_t;

typedef struct {
    const uint8_t *file;
    prototype_set_header_t header;
    prototype_plane_t planes[PROTOTYPE_SET_MAX_PLANES]; // format 1
    uint32_t planes_used;                               // planes 0 .. planes_used-1 make up dim
    prototype_codebook_t codebook;                      // format 2: header.parts > 0
    uint32_t dim;
} prototype_set_t;

/* prototype_set_open: check a file and fill `set`.
 *   file          aligned to 4 bytes, `size` bytes long, exactly one set
 *   encoder_hash  uint8[8], the space the caller embeds in
 *   dim           16, 32, 64, 128 or 256: the prefix that will be matched; of a codebook, its own
 * Returns MOTEYE_OK, or a reason (status.h) with *set left as it was: MOTEYE_ERR_SPACE for another
 * encoder's set, MOTEYE_ERR_DIM for a dim it does not hold. Allocates nothing. */
int prototype_set_open(
    const void *file, size_t size, const uint8_t *encoder_hash, uint32_t dim, prototype_set_t *set);

/* prototype_set_name: name of row `index`, UTF-8, not terminated; its length in *bytes, 0 where the
 * set has left its names out. index < count. */
const char *prototype_set_name(const prototype_set_t *set, uint32_t index, size_t *bytes);

#endif
