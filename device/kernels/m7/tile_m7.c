#include <stddef.h>

#include "tile_m7.h"

#if MOTEYE_M7

_Static_assert(offsetof(tile_m7_t, pixels) == 32 && offsetof(tile_m7_t, factor) == 36 &&
                   offsetof(tile_m7_t, stride) == 60,
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

// What does not fit the core's registers waits in those of the FPU: s0 and s1 are the ends of the
// weights and pixels, s2 the weights, s3 the entry, s4 and s5 the biases, s6 the output.
#define SUMS(name)                                                                                 \
    ".syntax unified\n"                                                                            \
    "push {r4-r11, lr}\n"                                                                          \
    "ldr r12, [r0, #32]\n"                                                                         \
    "vldmia r0, {s0-s7}\n"                                                                         \
    "1:\n"                                                                                         \
    "vmov r0, r1, s4, s5\n"                                                                        \
    "vmov r2, r3, s4, s5\n"                                                                        \
    "vmov lr, r4, s2, s3\n"                                                                        \
    "bx r4\n"                                                                                      \
    ".balign 4\n"                                                                                  \
    ".global " name "_loop\n"                                                                      \
    ".thumb_func\n" name "_loop:\n2:\n" STEP STEP STEP STEP "vmov r4, s0\n"                        \
    "cmp lr, r4\n"                                                                                 \
    "bne 2b\n"

// acc := the requantised acc; t is overwritten.
#define FINISH(acc, t, multiplier, offset, shift)                                                  \
    "smmlar " t ", " acc ", " multiplier ", " offset "\n"                                          \
    "add " t ", " t ", " acc ", asr #31\n"                                                         \
    "asr " t ", " shift "\n"                                                                       \
    "ssat " acc ", #8, " t "\n"

#define NEXT_PAIR                                                                                  \
    "vmov s6, r10\n"                                                                               \
    "vmov r4, s1\n"                                                                                \
    "cmp r12, r4\n"                                                                                \
    "bne 1b\n"                                                                                     \
    "pop {r4-r11, pc}\n"

__attribute__((naked)) void tile_m7(const tile_m7_t *tile __attribute__((unused))) {
    __asm__ volatile(
        SUMS("tile_m7") "vmov r10, r11, s6, s7\n"
                        "ldmia r11, {r4-r9}\n"
                        "ldr r11, [r11, #24]\n" FINISH("r0", "lr", "r4", "r5", "r6") FINISH(
                            "r1", "lr", "r7", "r8", "r9") FINISH("r2", "lr", "r4", "r5", "r6")
                            FINISH("r3", "lr", "r7", "r8", "r9") "strb r0, [r10]\n"
                                                                 "strb r1, [r10, #1]\n"
                                                                 "strb r2, [r10, r11]\n"
                                                                 "add r10, r11\n"
                                                                 "strb r3, [r10, #1]\n"
                                                                 "add r10, r11\n" NEXT_PAIR);
}

__attribute__((naked)) void tile_m7_raw(const tile_m7_t *tile __attribute__((unused))) {
    __asm__ volatile(SUMS("tile_m7_raw") "vmov r10, s6\n"
                                         "stmia r10!, {r0-r3}\n" NEXT_PAIR);
}

extern const uint8_t tile_m7_loop[], tile_m7_raw_loop[];

static const uint32_t *entry(const uint8_t *loop, uint32_t steps) {
    uint32_t skipped = (0u - steps) % 4;
    return (const uint32_t *)(const void *)(((uintptr_t)loop + skipped * STEP_BYTES) | 1);
}

const uint32_t *tile_m7_entry(uint32_t steps) {
    return entry(tile_m7_loop, steps);
}

const uint32_t *tile_m7_raw_entry(uint32_t steps) {
    return entry(tile_m7_raw_loop, steps);
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
