/* A sentence of every case of the embedded list; counts those with other words or another
 * probability than expected. A case is four words (bytes of the pack, beams, bytes of the map, count
 * of words), then pack, map, and int64 logp with uint16 words, each padded to 16 bytes; words of
 * zero end the list. */
#include <string.h>

#include "bare.h"
#include "cases.h"
#include "caption.h"
#include "status.h"

#define WORK_BYTES (64 * 1024)

extern const uint8_t cases[];
static uint32_t work[WORK_BYTES / 4];

static bool says(const caption_pack_t *pack, uint32_t beams, const uint8_t *map,
    const uint8_t *expected, uint32_t count) {
    static caption_t caption;
    if (caption_work_bytes(pack, beams) > sizeof(work)) {
        return false;
    }
    caption_init(pack, beams, work, &caption);
    caption_begin(&caption, (const int8_t *)map);
    while (caption_step(&caption)) {
    }
    const caption_sentence_t *best = &caption.best;
    return best->count == count && memcmp(&best->logp_q10, expected, 8) == 0 &&
           memcmp(best->words, expected + 8, count * sizeof(best->words[0])) == 0;
}

int main(void) {
    const uint8_t *at = cases;
    uint32_t words[4], i = 0;
    for (; case_words(&at, words); i++) {
        const uint8_t *file = at, *map = file + padded(words[0]);
        const uint8_t *expected = map + padded(words[2]);
        caption_pack_t pack;
        if (caption_pack_open(file, words[0], &pack) != MOTEYE_OK ||
            !says(&pack, words[1], map, expected, words[3])) {
            bare_number("wrong", i);
        }
        at = expected + padded(8 + 2 * words[3]);
    }
    bare_number("cases", i);
    return 0;
}
