/* A caption of one map, counted: what looking at the map takes, and each word. */
#include <string.h>

#include "bare.h"
#include "caption.h"
#include "status.h"

#define WORK_BYTES (512 * 1024)
#define TEXT_BYTES 1024

extern const uint8_t pack[], pack_end[], maps[], said_1[], said_1_end[], said_3[], said_3_end[];
static uint32_t work[WORK_BYTES / 4];
static char text[TEXT_BYTES];

static bool say(const caption_pack_t *opened, uint32_t beams, const char *begin, const char *word,
    const uint8_t *said, const uint8_t *said_end) {
    static caption_t caption;
    if (caption_work_bytes(opened, beams) > sizeof(work)) {
        return false;
    }
    caption_init(opened, beams, work, &caption);
    uint32_t start = bare_ticks();
    caption_begin(&caption, (const int8_t *)maps);
    bare_number(begin, bare_ticks_since(start));
    bool open = true;
    while (open) {
        start = bare_ticks();
        open = caption_step(&caption);
        bare_number(word, bare_ticks_since(start));
    }
    size_t bytes = caption_text(&caption, text, sizeof(text));
    return bytes == (size_t)(said_end - said) && memcmp(text, said, bytes) == 0;
}

int main(void) {
    caption_pack_t opened;
    if (caption_pack_open(pack, (size_t)(pack_end - pack), &opened) != MOTEYE_OK) {
        return 2;
    }
    bool equal = say(&opened, 1, "begin_1", "word_1", said_1, said_1_end) &&
                 say(&opened, 3, "begin_3", "word_3", said_3, said_3_end);
    return equal ? 0 : 1;
}
