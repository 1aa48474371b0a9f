/* Words of an LSTM with additive attention, and of the captioner, of the same width on one map: what each
 * word takes. */
#include <string.h>

#include "bare.h"
#include "caption.h"
#include "lstm_attention.h"
#include "status.h"

#define WORDS 4
#define WORK_BYTES (512 * 1024)
#define MAX_WIDTH 1024
#define MAX_WORDS 10240

extern const uint8_t pack[], pack_end[], map[], words[], hidden[], factors[];
extern const uint8_t ask_bias[], ask_multiplier[], ask_shift[], ask_weight[];
extern const uint8_t gates_bias[], gates_multiplier[], gates_shift[], gates_weight[];
extern const uint8_t leave_bias[], leave_multiplier[], leave_shift[], leave_weight[];
extern const uint8_t weigh[], tanh_table[];

static uint32_t work[WORK_BYTES / 4];
static int8_t given[3 * MAX_WIDTH];
static int16_t cell[MAX_WIDTH], wide[4 * MAX_WIDTH];
static int32_t scores[MAX_WORDS];

#define PRODUCT(name, r, c)                                                                        \
    {.rows = (r),                                                                                  \
        .columns = (c),                                                                            \
        .bias = (const int32_t *)(const void *)name##_bias,                                        \
        .multiplier = (const int32_t *)(const void *)name##_multiplier,                            \
        .shift = (const int8_t *)name##_shift,                                                     \
        .weight = (const int8_t *)name##_weight}

// Whether the words are those that the definition says, and the state that it ends with.
static bool rival(const caption_pack_t *opened, const int16_t *seen) {
    const uint32_t width = opened->header.width;
    const caption_factor_t *factor = (const caption_factor_t *)(const void *)factors;
    const lstm_attention_t lstm = {.pack = opened,
        .ask = PRODUCT(ask, width, width),
        .gates = PRODUCT(gates, 4 * width, 3 * width),
        .leave = PRODUCT(leave, width, width),
        .weigh = (const int16_t *)(const void *)weigh,
        .tanh = (const int16_t *)(const void *)tanh_table,
        .context = factor[0],
        .out = factor[1],
        .given = given,
        .cell = cell,
        .wide = wide,
        .scores = scores};
    uint16_t said[WORDS], word = CAPTION_END;
    for (uint32_t i = 0; i < WORDS; i++) {
        uint32_t start = bare_ticks();
        word = lstm_attention_word(&lstm, seen, word);
        bare_number("lstm", bare_ticks_since(start));
        said[i] = word;
    }
    return memcmp(said, words, sizeof(said)) == 0 && memcmp(given + 2 * width, hidden, width) == 0;
}

int main(void) {
    caption_pack_t opened;
    static caption_t caption;
    if (caption_pack_open(pack, (size_t)(pack_end - pack), &opened) != MOTEYE_OK ||
        caption_work_bytes(&opened, 1) > sizeof(work) || opened.header.width > MAX_WIDTH ||
        opened.header.words > MAX_WORDS || opened.header.positions > LSTM_MAX_POSITIONS) {
        return 2;
    }
    caption_init(&opened, 1, work, &caption);
    caption_begin(&caption, (const int8_t *)map);
    bool open = true;
    for (uint32_t i = 0; i < WORDS && open; i++) {
        uint32_t start = bare_ticks();
        open = caption_step(&caption);
        bare_number("attssm", bare_ticks_since(start));
    }
    caption_begin(&caption, (const int8_t *)map);
    return rival(&opened, caption.seen) ? 0 : 1;
}
