#include <stddef.h>

#include "planar_m7.h"

#if MOTEYE_M7

_Static_assert(offsetof(planar_m7_t, factor) == 24 && offsetof(planar_m7_t, out) == 40 &&
                   offsetof(planar_m7_t, row_end) == 48 && offsetof(planar_m7_t, rows) == 68 &&
                   offsetof(planar_m7_t, plane) == 76,
    "layout that the assembly below reads");

// One kernel row for outputs r0-r3: r12 points at the plane, lr at the weights, r10 is the plane's
// row stride. Every instruction has 4 bytes, so that the entry can be computed.
#define ROW_3_1                                                                                    \
    "ldmia r12, {r4-r6}\n"                                                                         \
    "ldmia lr!, {r8, r9}\n"                                                                        \
    "smlad r0, r4, r8, r0\n"                                                                       \
    "smlatb r1, r4, r8, r1\n"                                                                      \
    "smlad r2, r5, r8, r2\n"                                                                       \
    "smlatb r3, r5, r8, r3\n"                                                                      \
    "smlabt r0, r5, r9, r0\n"                                                                      \
    "smlad r1, r5, r9, r1\n"                                                                       \
    "smlabt r2, r6, r9, r2\n"                                                                      \
    "smlad r3, r6, r9, r3\n"                                                                       \
    "add.w r12, r12, r10\n"

#define ROW_5_1                                                                                    \
    "ldmia r12, {r4-r7}\n"                                                                         \
    "ldmia lr!, {r8, r9}\n"                                                                        \
    "smlad r0, r4, r8, r0\n"                                                                       \
    "smlatb r1, r4, r8, r1\n"                                                                      \
    "smlad r2, r5, r8, r2\n"                                                                       \
    "smlatb r3, r5, r8, r3\n"                                                                      \
    "smlad r0, r5, r9, r0\n"                                                                       \
    "smlad r2, r6, r9, r2\n"                                                                       \
    "ldmia lr!, {r8, r9}\n"                                                                        \
    "smlabt r0, r6, r9, r0\n"                                                                      \
    "smlad r1, r5, r8, r1\n"                                                                       \
    "smlad r1, r6, r9, r1\n"                                                                       \
    "smlabt r2, r7, r9, r2\n"                                                                      \
    "smlad r3, r6, r8, r3\n"                                                                       \
    "smlad r3, r7, r9, r3\n"                                                                       \
    "add.w r12, r12, r10\n"

#define ROW_7_1                                                                                    \
    "ldmia r12, {r4-r8}\n"                                                                         \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r0, r4, r9, r0\n"                                                                       \
    "smlatb r1, r4, r9, r1\n"                                                                      \
    "smlad r2, r5, r9, r2\n"                                                                       \
    "smlatb r3, r5, r9, r3\n"                                                                      \
    "smlad r0, r5, r11, r0\n"                                                                      \
    "smlad r2, r6, r11, r2\n"                                                                      \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r0, r6, r9, r0\n"                                                                       \
    "smlad r2, r7, r9, r2\n"                                                                       \
    "smlad r1, r5, r11, r1\n"                                                                      \
    "smlad r3, r6, r11, r3\n"                                                                      \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r1, r6, r9, r1\n"                                                                       \
    "smlad r3, r7, r9, r3\n"                                                                       \
    "smlabt r0, r7, r11, r0\n"                                                                     \
    "smlad r1, r7, r11, r1\n"                                                                      \
    "smlabt r2, r8, r11, r2\n"                                                                     \
    "smlad r3, r8, r11, r3\n"                                                                      \
    "add.w r12, r12, r10\n"

#define ROW_3_2                                                                                    \
    "ldmia r12, {r4-r8}\n"                                                                         \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r0, r4, r9, r0\n"                                                                       \
    "smlad r1, r5, r9, r1\n"                                                                       \
    "smlad r2, r6, r9, r2\n"                                                                       \
    "smlad r3, r7, r9, r3\n"                                                                       \
    "smlad r0, r5, r11, r0\n"                                                                      \
    "smlad r1, r6, r11, r1\n"                                                                      \
    "smlad r2, r7, r11, r2\n"                                                                      \
    "smlad r3, r8, r11, r3\n"                                                                      \
    "add.w r12, r12, r10\n"

#define ROW_5_2                                                                                    \
    "ldmia r12, {r4-r8}\n"                                                                         \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r0, r4, r9, r0\n"                                                                       \
    "smlad r1, r5, r9, r1\n"                                                                       \
    "smlad r2, r6, r9, r2\n"                                                                       \
    "smlad r3, r7, r9, r3\n"                                                                       \
    "ldr r9, [lr], #4\n"                                                                           \
    "ldr r4, [r12, #20]\n"                                                                         \
    "smlad r0, r5, r11, r0\n"                                                                      \
    "smlad r1, r6, r11, r1\n"                                                                      \
    "smlad r2, r7, r11, r2\n"                                                                      \
    "smlad r3, r8, r11, r3\n"                                                                      \
    "smlad r0, r6, r9, r0\n"                                                                       \
    "smlad r1, r7, r9, r1\n"                                                                       \
    "smlad r2, r8, r9, r2\n"                                                                       \
    "smlad r3, r4, r9, r3\n"                                                                       \
    "add.w r12, r12, r10\n"

#define ROW_7_2                                                                                    \
    "ldmia r12, {r4-r8}\n"                                                                         \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "smlad r0, r4, r9, r0\n"                                                                       \
    "smlad r1, r5, r9, r1\n"                                                                       \
    "smlad r2, r6, r9, r2\n"                                                                       \
    "smlad r3, r7, r9, r3\n"                                                                       \
    "smlad r0, r5, r11, r0\n"                                                                      \
    "smlad r1, r6, r11, r1\n"                                                                      \
    "smlad r2, r7, r11, r2\n"                                                                      \
    "smlad r3, r8, r11, r3\n"                                                                      \
    "ldmia lr!, {r9, r11}\n"                                                                       \
    "ldrd r4, r5, [r12, #20]\n"                                                                    \
    "smlad r0, r6, r9, r0\n"                                                                       \
    "smlad r1, r7, r9, r1\n"                                                                       \
    "smlad r2, r8, r9, r2\n"                                                                       \
    "smlad r3, r4, r9, r3\n"                                                                       \
    "smlad r0, r7, r11, r0\n"                                                                      \
    "smlad r1, r8, r11, r1\n"                                                                      \
    "smlad r2, r4, r11, r2\n"                                                                      \
    "smlad r3, r5, r11, r3\n"                                                                      \
    "add.w r12, r12, r10\n"

// acc := the requantised acc; r9 is overwritten. FINISH_FLOOR: for a zero point of -128, which
// negative sums become however they are rounded.
#define FINISH(acc)                                                                                \
    "smmlar r9, " acc ", r4, r5\n"                                                                 \
    "add r9, r9, " acc ", asr #31\n"                                                               \
    "asr r9, r6\n"                                                                                 \
    "ssat " acc ", #8, r9\n"

#define FINISH_FLOOR(acc)                                                                          \
    "smmlar r9, " acc ", r4, r5\n"                                                                 \
    "asr r9, r6\n"                                                                                 \
    "ssat " acc ", #8, r9\n"

#define ROWS(name, ROW)                                                                            \
    ".balign 4\n"                                                                                  \
    ".global planar_m7_" name "\n"                                                                 \
    "planar_m7_" name ":\n" ROW ROW ROW ROW ROW ROW ROW "ldr pc, [sp, #20]\n"

// Four outputs; all of them are stored, and the next tile begun, unless the row ends here.
#define TILE(name, END)                                                                            \
    ".balign 4\n"                                                                                  \
    ".global planar_m7_" name "\n"                                                                 \
    "planar_m7_" name ":\n"                                                                        \
    "add lr, sp, #24\n"                                                                            \
    "ldmia lr, {r4-r9, r11, lr}\n"                                                                 \
    "sub r12, r9\n" END("r0") END("r1") END("r2") END("r3") "strb r0, [r8]\n"                      \
                                                            "cmp r12, r11\n"                       \
                                                            "beq 2f\n"                             \
                                                            "strb r1, [r8, r7]\n"                  \
                                                            "add r8, r8, r7, lsl #1\n"             \
                                                            "strb r2, [r8]\n"                      \
                                                            "strb r3, [r8, r7]\n"                  \
                                                            "add r8, r8, r7, lsl #1\n"             \
                                                            "str r8, [sp, #40]\n"                  \
                                                            "b 1b\n"

// A copy of the fields before `row_stride` stands on the stack. `entry` leads to the rows of a
// kernel, which stand behind what all kernels share, and they to `end`.
__attribute__((naked)) void planar_m7(const planar_m7_t *planar __attribute__((unused))) {
    __asm__ volatile(".syntax unified\n"
                     "push {r4-r11, lr}\n"
                     "sub sp, #72\n"
                     "mov r1, sp\n"
                     "ldmia r0!, {r4-r11}\n"
                     "stmia r1!, {r4-r11}\n"
                     "ldmia r0!, {r4-r11}\n"
                     "stmia r1!, {r4-r11}\n"
                     "ldmia r0, {r4, r5, r10, r12}\n"
                     "stmia r1, {r4, r5}\n"
                     "ldr lr, [sp, #52]\n"
                     "1:\n"
                     "ldmia sp, {r0-r3}\n"
                     "ldr pc, [sp, #16]\n" TILE("rounded", FINISH) TILE("floored",
                         FINISH_FLOOR) "2:\n"
                                       "add r8, r7\n"
                                       "ldrd r4, r5, [sp, #64]\n"
                                       "cmp r4, #2\n"
                                       "blo 3f\n"
                                       "strb r1, [r8]\n"
                                       "add r8, r7\n"
                                       "beq 3f\n"
                                       "strb r2, [r8]\n"
                                       "add r8, r7\n"
                                       "cmp r4, #4\n"
                                       "bne 3f\n"
                                       "strb r3, [r8]\n"
                                       "add r8, r7\n"
                                       "3:\n"
                                       "ldrd r6, r7, [sp, #56]\n"
                                       "add r12, r6\n"
                                       "add r11, r7\n"
                                       "str r11, [sp, #48]\n"
                                       "str r8, [sp, #40]\n"
                                       "subs r5, #1\n"
                                       "str r5, [sp, #68]\n"
                                       "bne 1b\n"
                                       "add sp, #72\n"
                                       "pop {r4-r11, pc}\n" ROWS("3_1", ROW_3_1) ROWS(
                                           "5_1", ROW_5_1) ROWS("7_1", ROW_7_1) ROWS("3_2", ROW_3_2)
                                           ROWS("5_2", ROW_5_2) ROWS("7_2", ROW_7_2));
}

extern const uint8_t planar_m7_rounded[], planar_m7_floored[];

const void *planar_m7_end(int32_t zero_point) {
    const uint8_t *end = zero_point == -128 ? planar_m7_floored : planar_m7_rounded;
    return (const void *)((uintptr_t)end | 1);
}

extern const uint8_t planar_m7_3_1[], planar_m7_5_1[], planar_m7_7_1[], planar_m7_3_2[],
    planar_m7_5_2[], planar_m7_7_2[];

static const planar_m7_kernel_t kernels[2][3] = {
    {{3, 1, planar_m7_3_1, 44}, {5, 1, planar_m7_5_1, 64}, {7, 1, planar_m7_7_1, 84}},
    {{3, 2, planar_m7_3_2, 44}, {5, 2, planar_m7_5_2, 68}, {7, 2, planar_m7_7_2, 84}},
};

const planar_m7_kernel_t *planar_m7_kernel(uint32_t taps, uint32_t stride) {
    return &kernels[stride - 1][taps <= 3 ? 0 : taps <= 5 ? 1 : 2];
}

#endif
