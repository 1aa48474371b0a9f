/* match_prototypes or match_codebook on every case of the embedded list; counts those with another margin than
 * expected. A case is four words (bytes of the set, dim, bytes of the margins; 0), then set,
 * embedding (256 bytes) and margins, each padded to 16 bytes; words of zero end the list. */
#include <string.h>

#include "bare.h"
#include "cases.h"
#include "match_codebook.h"
#include "match_prototypes.h"
#include "status.h"

#define EMBEDDING_BYTES 256

extern const uint8_t cases[];
static int16_t margins[MOTEYE_MAX_ROWS];
static int32_t table[CODEBOOK_WORDS * MOTEYE_SET_MAX_PARTS];

int main(void) {
    const uint8_t *at = cases;
    uint32_t words[4], i = 0;
    for (; case_words(&at, words); i++) {
        const uint8_t *file = at;
        const uint8_t *embedding = file + padded(words[0]), *expected = embedding + EMBEDDING_BYTES;
        prototype_set_t set;
        int status = prototype_set_open(file, words[0], file + 8, words[1], &set);
        if (status == MOTEYE_OK && set.header.parts > 0) {
            match_codebook(&set, (const int8_t *)embedding, table, margins);
        } else if (status == MOTEYE_OK) {
            match_prototypes(&set, (const int8_t *)embedding, margins);
        }
        if (status != MOTEYE_OK || memcmp(margins, expected, words[2]) != 0) {
            bare_number("wrong", i);
        }
        at = expected + padded(words[2]);
    }
    bare_number("cases", i);
    return 0;
}
