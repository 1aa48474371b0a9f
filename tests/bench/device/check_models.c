/* Runs every case of the embedded list and counts those whose output is not the expected one.
 * A case is four words (bytes of pack, input and expected output; 0), then the three, each padded to
 * 16 bytes; four words of zero end the list. */
#include <string.h>

#include "bare.h"
#include "cases.h"
#include "model.h"
#include "status.h"

#define ARENA_BYTES (1024 * 1024)
#define GUARD 64

extern const uint8_t cases[];
static int8_t arena[ARENA_BYTES + GUARD] __attribute__((aligned(16)));

static int run_case(const uint8_t *pack, const uint32_t *bytes) {
    const uint8_t *input = pack + padded(bytes[0]), *expected = input + padded(bytes[1]);
    model_t model;
    if (model_open(pack, bytes[0], &model) != MOTEYE_OK || model.header.arena_bytes > ARENA_BYTES) {
        return 0;
    }
    memset(arena, 0x55, model.header.arena_bytes + GUARD);
    memcpy(arena + model.header.input.offset, input, bytes[1]);
    if (model_run(&model, arena, ARENA_BYTES) != MOTEYE_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < GUARD; i++) {
        if (arena[model.header.arena_bytes + i] != 0x55) {
            return 0;
        }
    }
    return memcmp(arena + model.header.output.offset, expected, bytes[2]) == 0;
}

int main(void) {
    const uint8_t *at = cases;
    uint32_t bytes[4], i = 0;
    for (; case_words(&at, bytes); i++) {
        if (!run_case(at, bytes)) {
            bare_number("wrong", i);
        }
        at += padded(bytes[0]) + padded(bytes[1]) + padded(bytes[2]);
    }
    bare_number("cases", i);
    return 0;
}
