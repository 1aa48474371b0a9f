#include <stddef.h>

#include "tile_m7.h"

#if MOTEYE_M7

_Static_assert(offsetof(tile_m7_t, weights) == 16 && offsetof(tile_m7_t, factor) == 24 &&
                   offsetof(tile_m7_t, weights_end) == 56 && offsetof(tile_m7_t, pixels) == 64,
    "layout that the assembly below reads");

#define STEP_BYTES 40 // of code

// 2 pixels x 2 channels x 4 terms; every register but sp and pc is in use.
#define STEP                                                                                       \
    "ldmia r12!, {r4-r7}\n"                                                                        \
    "ldmia lr!, {r8-r11}\n"                                                                        \
    "smlad r0, r4, r8, r0\n"                                                                       \
    "smlad r1, r4, r10, r1\n"                                                                      \
    "smlad r2, r6, r8, r2\n"                                                                       \
    "smlad r3, r6, r10, r3\n"                                                                      \
    "smlad r0, r5, r9, r0\n"                                                                       \
    "smlad r1, r5, r11, r1\n"                                                                      \
    "smlad r2, r7, r9, r2\n"                                                                       \
    "smlad r3, r7, r11, r3\n"

// A copy of the fields before `pixels` stands on the stack, from where a tile takes what it starts
// and ends with.
#define SUMS(name)                                                                                 \
    ".syntax unified\n"                                                                            \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, #64\n"                                                                                \
    "mov r1, sp\n"                                                                                 \
    "ldmia r0!, {r4-r11}\n"                                                                        \
    "stmia r1!, {r4-r11}\n"                                                                        \
    "ldmia r0!, {r4-r11}\n"                                                                        \
    "stmia r1!, {r4-r11}\n"                                                                        \
    "ldr r12, [r0]\n"                                                                              \
    "1:\n"                                                                                         \
    "ldmia sp, {r0-r3, lr}\n"                                                                      \
    "ldr pc, [sp, #20]\n"                                                                          \
    ".balign 4\n"                                                                                  \
    ".global " name "_loop\n"                                                                      \
    ".thumb_func\n" name "_loop:\n2:\n" STEP STEP STEP STEP "ldr r4, [sp, #56]\n"                  \
    "cmp lr, r4\n"                                                                                 \
    "bne 2b\n"

// acc := the requantised acc; t is overwritten.
#define FINISH(acc, t, multiplier, offset, shift)                                                  \
    "smmlar " t ", " acc ", " multiplier ", " offset "\n"                                          \
    "add " t ", " t ", " acc ", asr #31\n"                                                         \
    "asr " t ", " shift "\n"                                                                       \
    "ssat " acc ", #8, " t "\n"

// The same where the zero point is -128: negative sums become that however they are rounded.
#define FINISH_FLOOR(acc, t, multiplier, offset, shift)                                            \
    "smmlar " t ", " acc ", " multiplier ", " offset "\n"                                          \
    "asr " t ", " shift "\n"                                                                       \
    "ssat " acc ", #8, " t "\n"

#define NEXT_PAIR                                                                                  \
    "str r10, [sp, #48]\n"                                                                         \
    "ldr r4, [sp, #60]\n"                                                                          \
    "cmp r12, r4\n"                                                                                \
    "bne 1b\n"                                                                                     \
    "add sp, #64\n"                                                                                \
    "pop {r4-r11, pc}\n"

#define TILE(name, END)                                                                            \
    __attribute__((naked)) static void name(const tile_m7_t *tile __attribute__((unused))) {       \
        __asm__ volatile(                                                                          \
            SUMS(#name) "add lr, sp, #24\n"                                                        \
                        "ldmia lr, {r4-r11}\n" END("r0", "lr", "r4", "r5", "r6")                   \
                            END("r1", "lr", "r7", "r8", "r9") END("r2", "lr", "r4", "r5", "r6")    \
                                END("r3", "lr", "r7", "r8", "r9") "strb r0, [r10]\n"               \
                                                                  "strb r1, [r10, #1]\n"           \
                                                                  "strb r2, [r10, r11]\n"          \
                                                                  "add r10, r11\n"                 \
                                                                  "strb r3, [r10, #1]\n"           \
                                                                  "add r10, r11\n" NEXT_PAIR);     \
    }                                                                                              \
    extern const uint8_t name##_loop[]

TILE(tile_m7_rounded, FINISH);
TILE(tile_m7_floored, FINISH_FLOOR);

__attribute__((naked)) static void tile_m7_summed(const tile_m7_t *tile __attribute__((unused))) {
    __asm__ volatile(SUMS("tile_m7_summed") "ldr r10, [sp, #48]\n"
                                            "stmia r10!, {r0-r3}\n" NEXT_PAIR);
}

extern const uint8_t tile_m7_summed_loop[];

static const tile_m7_end_t ends[] = {
    [TILE_M7_ROUNDED] = {tile_m7_rounded, tile_m7_rounded_loop},
    [TILE_M7_FLOORED] = {tile_m7_floored, tile_m7_floored_loop},
    [TILE_M7_RAW] = {tile_m7_summed, tile_m7_summed_loop},
};

tile_m7_end_t tile_m7_end(tile_m7_way_t way) {
    return ends[way];
}

const uint32_t *tile_m7_entry(tile_m7_end_t end, uint32_t steps) {
    uint32_t skipped = (0u - steps) % 4;
    return (const uint32_t *)(const void *)(((uintptr_t)end.loop + skipped * STEP_BYTES) | 1);
}

static void widen_weights(const void *row0, const void *row1, uint32_t steps, uint32_t *out) {
    __asm__ volatile("1:\n"
                     "ldr r4, [%0], #4\n"
                     "ldr r6, [%1], #4\n"
                     "sxtb16 r5, r4, ror #8\n"
                     "sxtb16 r4, r4\n"
                     "sxtb16 r7, r6, ror #8\n"
                     "sxtb16 r6, r6\n"
                     "stmia %3!, {r4-r7}\n"
                     "subs %2, #1\n"
                     "bne 1b\n"
        : "+r"(row0), "+r"(row1), "+r"(steps), "+r"(out)
        :
        : "r4", "r5", "r6", "r7", "cc", "memory");
}

void tile_m7_weights(const int8_t *row0, const int8_t *row1, uint32_t terms, uint32_t *out) {
    uint32_t steps = terms / 4;
    if (steps > 0) {
        widen_weights(row0, row1, steps, out);
    }
    if (terms % 4 != 0) {
        // The last step by bytes: nothing behind the rows is read.
        int8_t tail[2][4] = {{0}, {0}};
        for (uint32_t i = 4 * steps; i < terms; i++) {
            tail[0][i % 4] = row0[i];
            tail[1][i % 4] = row1[i];
        }
        widen_weights(tail[0], tail[1], 1, out + TILE_STEP_WORDS * steps);
    }
}

void tile_m7_pixel(const int8_t *from, uint32_t steps, uint32_t twice_minus, uint32_t *out) {
    __asm__ volatile("1:\n"
                     "ldr r4, [%0], #4\n"
                     "sxtab16 r6, %3, r4\n"
                     "sxtab16 r7, %3, r4, ror #8\n"
                     "sxtab16 r6, r6, r4\n"
                     "sxtab16 r7, r7, r4, ror #8\n"
                     "strd r6, r7, [%2], #16\n"
                     "subs %1, #1\n"
                     "bne 1b\n"
        : "+r"(from), "+r"(steps), "+r"(out)
        : "r"(twice_minus)
        : "r4", "r6", "r7", "cc", "memory");
}

#endif
