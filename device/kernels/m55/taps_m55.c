#include <stddef.h>

#include "taps_m55.h"

#if MOTEYE_M55

_Static_assert(offsetof(taps_m55_t, offsets) == 64 && offsetof(taps_m55_t, out_offsets) == 80 &&
                   offsetof(taps_m55_t, zero_point) == 96 &&
                   offsetof(taps_m55_t, group_step) == 104 && offsetof(taps_m55_t, factor) == 112 &&
                   offsetof(taps_m55_t, back) == 124 && offsetof(taps_m55_t, plane) == 128 &&
                   offsetof(taps_m55_t, row_step) == 136 && offsetof(taps_m55_t, rows) == 144 &&
                   offsetof(taps_m55_t, rest) == 152,
    "layout that the assembly below reads");

#define TAP(q, acc, weights)                                                                       \
    "vldrb.u8 " q ", [r0, q6]\n"                                                                   \
    "add r0, r5\n"                                                                                 \
    "vmladava.s8 " acc ", " q ", " weights "\n"

#define GROUP(weights)                                                                             \
    TAP("q0", "r2", weights)                                                                       \
    TAP("q1", "r4", weights)                                                                       \
    TAP("q0", "r6", weights)                                                                       \
    TAP("q1", "r8", weights)

#define NEXT(weights) "add r0, r7\n" GROUP(weights)
#define BACK "ldr r2, [sp, #4]\nsub r0, r2\n"

// Four sums to q0, in the low byte of each lane.
#define VECTOR(groups)                                                                             \
    "mov r2, r10\n"                                                                                \
    "mov r4, r10\n"                                                                                \
    "mov r6, r10\n"                                                                                \
    "mov r8, r10\n" groups "vmov q0[2], q0[0], r2, r6\n"                                           \
    "vmov q0[3], q0[1], r4, r8\n"                                                                  \
    "vqrdmulh.s32 q0, q0, r11\n"                                                                   \
    "vshr.s32 q1, q0, #31\n"                                                                       \
    "vadd.i32 q0, q0, q1\n"                                                                        \
    "vrshl.s32 q0, r12\n"                                                                          \
    "vadd.i32 q0, q0, r3\n"                                                                        \
    "vqmovnb.s32 q0, q0\n"                                                                         \
    "vqmovnb.s16 q0, q0\n"

// [sp] is the struct, [sp, #4] its `back`.
#define TAPS(name, groups, after)                                                                  \
    __attribute__((naked)) static void name(taps_m55_t *taps __attribute__((unused))) {            \
        __asm__ volatile(                                                                          \
            ".syntax unified\n"                                                                    \
            "push {r4-r11, lr}\n"                                                                  \
            "vpush {d8-d15}\n"                                                                     \
            "ldr r1, [r0, #124]\n"                                                                 \
            "push {r0, r1}\n"                                                                      \
            "vldrw.u32 q2, [r0]\n"                                                                 \
            "vldrw.u32 q3, [r0, #16]\n"                                                            \
            "vldrw.u32 q4, [r0, #32]\n"                                                            \
            "vldrw.u32 q5, [r0, #48]\n"                                                            \
            "vldrw.u32 q6, [r0, #64]\n"                                                            \
            "vldrw.u32 q7, [r0, #80]\n"                                                            \
            "ldrd r3, r5, [r0, #96]\n"                                                             \
            "ldrd r7, r9, [r0, #104]\n"                                                            \
            "ldrd r10, r11, [r0, #112]\n"                                                          \
            "ldr r12, [r0, #120]\n"                                                                \
            "ldr r2, [sp]\n"                                                                       \
            "ldrd r0, r1, [r2, #128]\n"                                                            \
            "1:\n"                                                                                 \
            "ldr r4, [r2, #148]\n"                                                                 \
            "wls lr, r4, 3f\n"                                                                     \
            "2:\n" VECTOR(groups) after "vstrb.32 q0, [r1, q7]\n"                                  \
                                        "add r1, r9\n"                                             \
                                        "le lr, 2b\n"                                              \
                                        "3:\n"                                                     \
                                        "ldr r2, [sp]\n"                                           \
                                        "ldr r4, [r2, #152]\n"                                     \
                                        "cmp r4, #0\n"                                             \
                                        "beq.w 4f\n" VECTOR(groups) "ldr r2, [sp]\n"               \
                                                                    "ldr r4, [r2, #152]\n"         \
                                                                    "vctp.32 r4\n"                 \
                                                                    "vpst\n"                       \
                                                                    "vstrbt.32 q0, [r1, q7]\n"     \
                                                                    "4:\n"                         \
                                                                    "ldrd r0, r1, [r2, #128]\n"    \
                                                                    "ldrd r4, r6, [r2, #136]\n"    \
                                                                    "add r0, r4\n"                 \
                                                                    "add r1, r6\n"                 \
                                                                    "strd r0, r1, [r2, #128]\n"    \
                                                                    "ldr r4, [r2, #144]\n"         \
                                                                    "subs r4, #1\n"                \
                                                                    "str r4, [r2, #144]\n"         \
                                                                    "bne 1b\n"                     \
                                                                    "pop {r0, r1}\n"               \
                                                                    "vpop {d8-d15}\n"              \
                                                                    "pop {r4-r11, pc}\n");         \
    }

TAPS(taps_1, GROUP("q2"), "")
TAPS(taps_2, GROUP("q2") NEXT("q3"), BACK)
TAPS(taps_3, GROUP("q2") NEXT("q3") NEXT("q4"), BACK)
TAPS(taps_4, GROUP("q2") NEXT("q3") NEXT("q4") NEXT("q5"), BACK)

void taps_m55(taps_m55_t *taps, uint32_t groups) {
    static void (*const loops[TAPS_MAX_GROUPS])(taps_m55_t *) = {taps_1, taps_2, taps_3, taps_4};
    loops[groups - 1](taps);
}

#endif
