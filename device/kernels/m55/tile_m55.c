#include <stddef.h>

#include "tile_m55.h"

#if MOTEYE_M55

_Static_assert(offsetof(tile_m55_t, offsets) == 32 && offsetof(tile_m55_t, weights) == 64 &&
                   offsetof(tile_m55_t, bias) == 72 && offsetof(tile_m55_t, zero_point) == 80 &&
                   offsetof(tile_m55_t, out) == 84 && offsetof(tile_m55_t, terms) == 88 &&
                   offsetof(tile_m55_t, pixels) == 92 && offsetof(tile_m55_t, pixels_end) == 96 &&
                   offsetof(tile_m55_t, out_step) == 100,
    "layout that the assembly below reads");

// Four sums in q to bytes; t is overwritten. r1 is the zero point, r3 the output.
#define FINISH(q, t, offsets)                                                                      \
    "vqrdmulh.s32 " q ", " q ", q4\n"                                                              \
    "vshr.s32 " t ", " q ", #31\n"                                                                 \
    "vadd.i32 " q ", " q ", " t "\n"                                                               \
    "vrshl.s32 " q ", " q ", q5\n"                                                                 \
    "vadd.i32 " q ", " q ", r1\n"                                                                  \
    "vqmovnb.s32 " q ", " q "\n"                                                                   \
    "vqmovnb.s16 " q ", " q "\n"                                                                   \
    "vstrb.32 " q ", [r3, " offsets "]\n"

__attribute__((naked)) void tile_m55(tile_m55_t *tile __attribute__((unused))) {
    __asm__ volatile(".syntax unified\n"
                     "push {r4-r11, lr}\n"
                     "vpush {d8-d15}\n"
                     "mov r11, r0\n"
                     "vldrw.u32 q4, [r11]\n"
                     "vldrw.u32 q5, [r11, #16]\n"
                     "vldrw.u32 q6, [r11, #32]\n"
                     "vldrw.u32 q7, [r11, #48]\n"
                     "ldr r12, [r11, #92]\n"
                     "1:\n"
                     "ldr r10, [r11, #88]\n"
                     "mov r1, r12\n"
                     "add r3, r12, r10\n"
                     "add r5, r3, r10\n"
                     "add r12, r5, r10\n"
                     "ldrd r7, r9, [r11, #64]\n"
                     "ldrd r0, r2, [r11, #72]\n"
                     "ldrd r4, r6, [r11, #72]\n"
                     "dlstp.8 lr, r10\n"
                     "ldrd r8, r10, [r11, #72]\n"
                     "2:\n"
                     "vldrb.u8 q0, [r7], #16\n"
                     "vldrb.u8 q1, [r9], #16\n"
                     "vldrb.u8 q2, [r1], #16\n"
                     "vmladava.s8 r0, q2, q0\n"
                     "vldrb.u8 q3, [r3], #16\n"
                     "vmladava.s8 r2, q2, q1\n"
                     "vmladava.s8 r4, q3, q0\n"
                     "vldrb.u8 q2, [r5], #16\n"
                     "vmladava.s8 r6, q3, q1\n"
                     "vmladava.s8 r8, q2, q0\n"
                     "vmladava.s8 r10, q2, q1\n"
                     "letp lr, 2b\n"
                     "vmov q0[2], q0[0], r0, r4\n"
                     "vmov q0[3], q0[1], r2, r6\n"
                     "vmov q1[2], q1[0], r8, r8\n"
                     "vmov q1[3], q1[1], r10, r10\n"
                     "ldrd r1, r3, [r11, #80]\n" FINISH("q0", "q2", "q6")
                         FINISH("q1", "q3", "q7") "ldrd r4, r5, [r11, #96]\n"
                                                  "add r3, r5\n"
                                                  "str r3, [r11, #84]\n"
                                                  "cmp r12, r4\n"
                                                  "bne 1b\n"
                                                  "vpop {d8-d15}\n"
                                                  "pop {r4-r11, pc}\n");
}

// q7 is overwritten; r7 is the zero point.
#define FINISH_SHORT(q)                                                                            \
    "vqrdmulh.s32 " q ", " q ", q4\n"                                                              \
    "vshr.s32 q7, " q ", #31\n"                                                                    \
    "vadd.i32 " q ", " q ", q7\n"                                                                  \
    "vrshl.s32 " q ", " q ", q5\n"                                                                 \
    "vadd.i32 " q ", " q ", r7\n"                                                                  \
    "vqmovnb.s32 " q ", " q "\n"                                                                   \
    "vqmovnb.s16 " q ", " q "\n"

#define PIXEL(q, first, second)                                                                    \
    "vldrb.u8 " q ", [r1]\n"                                                                       \
    "add r1, r3\n"                                                                                 \
    "vmladava.s8 " first ", " q ", q2\n"                                                           \
    "vmladava.s8 " second ", " q ", q3\n"

__attribute__((naked)) void tile_m55_short(tile_m55_t *tile __attribute__((unused))) {
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "vpush {d8-d15}\n"
        "mov r11, r0\n"
        "ldrd r1, r3, [r11, #64]\n"
        "vldrb.u8 q2, [r1]\n"
        "vldrb.u8 q3, [r3]\n"
        "vldrw.u32 q4, [r11]\n"
        "vldrw.u32 q5, [r11, #16]\n"
        "vldrw.u32 q6, [r11, #32]\n"
        "ldrd r7, r5, [r11, #80]\n"
        "ldrd r3, r1, [r11, #88]\n"
        "ldr r9, [r11, #100]\n"
        "1:\n"
        "ldrd r0, r2, [r11, #72]\n"
        "ldrd r4, r6, [r11, #72]\n"
        "ldrd r8, r10, [r11, #72]\n"
        "ldrd r12, lr, [r11, #72]\n" PIXEL("q0", "r0", "r2") PIXEL("q1", "r4", "r6") PIXEL("q0",
            "r8", "r10") PIXEL("q1", "r12", "lr") "vmov q0[2], q0[0], r0, r4\n"
                                                  "vmov q0[3], q0[1], r2, r6\n"
                                                  "vmov q1[2], q1[0], r8, r12\n"
                                                  "vmov q1[3], q1[1], r10, lr\n" FINISH_SHORT("q0")
                                                      FINISH_SHORT("q1") "vstrb.32 q0, [r5, q6]\n"
                                                                         "add r5, r9\n"
                                                                         "vstrb.32 q1, [r5, q6]\n"
                                                                         "add r5, r9\n"
                                                                         "ldr r0, [r11, #96]\n"
                                                                         "cmp r1, r0\n"
                                                                         "bne 1b\n"
                                                                         "vpop {d8-d15}\n"
                                                                         "pop {r4-r11, pc}\n");
}

#endif
