#include <stddef.h>

#include "../isqrt.h"
#include "match_prototypes_m7.h"

#if MOTEYE_M7

// A number of wire.h as a part of the assembly.
#define TEXT_OF(number) #number
#define NUMBER(number) TEXT_OF(number)

typedef struct {
    const uint8_t *nibbles, *scale;
} plane_m7_t;

// The assembly below reads the fields in this order.
typedef struct {
    const uint32_t *embedding; // halves, planes from the last to the first
    const plane_m7_t *planes;  // from the last to the first; then the fields of tail_m7_t
    const void *entry;
    int32_t inverse;
    uint32_t count;
} rows_m7_t;

typedef struct {
    uint32_t left; // 32 - shift
    const uint16_t *mult;
    const int16_t *offset;
    int16_t *margins;
    uint32_t shift;
} tail_m7_t;

typedef struct {
    plane_m7_t planes[PROTOTYPE_SET_MAX_PLANES];
    tail_m7_t tail;
} table_m7_t;

_Static_assert(offsetof(table_m7_t, tail) == 40, "the tail lies right behind the planes");

// r12 += 4096 * (8 nibbles of `word`) * (8 entries of the embedding). A nibble at the top of its
// half is 4096 times its value, so one masked shift widens two.
#define EIGHT(word, first)                                                                         \
    "ldmia r2!, {r4-r7}\n"                                                                         \
    "and lr, r0, " word "\n" first "and lr, r0, " word ", lsl #4\n"                                \
    "smlad r12, r5, lr, r12\n"                                                                     \
    "and lr, r0, " word ", lsl #8\n"                                                               \
    "smlad r12, r6, lr, r12\n"                                                                     \
    "and lr, r0, " word ", lsl #12\n"                                                              \
    "smlad r12, r7, lr, r12\n"

#define MORE "smlad r12, r4, lr, r12\n"
#define START "smuad r12, r4, lr\n"
#define SIXTEEN "ldmia r11!, {r8, r9}\n" EIGHT("r8", MORE) EIGHT("r9", MORE)
#define FIRST_SIXTEEN "ldmia r11!, {r8, r9}\n" EIGHT("r8", START) EIGHT("r9", MORE)

// One plane of row r1 added to the score r10; `log2` of its bytes a row.
#define PLANE(log2, blocks)                                                                        \
    "ldr r11, [r3], #4\n"                                                                          \
    "add r11, r11, r1, lsl #" log2 "\n" blocks "ldr lr, [r3], #4\n"                                \
    "asr r12, #12\n"                                                                               \
    "ldrb lr, [lr, r1]\n"                                                                          \
    "mla r10, r12, lr, r10\n"

#define THREE_TIMES(x) x x x

__attribute__((naked)) static void match_rows(const rows_m7_t *rows __attribute__((unused))) {
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "vldmia r0, {s0-s4}\n"
        "ldr r0, =0xf000f000\n"
        "mov r1, #0\n"
        "1:\n"
        "vmov r2, r3, s0, s1\n"
        "vmov lr, s2\n"
        "mov r10, #0\n"
        "bx lr\n"
        ".global match_m7_256\n.thumb_func\nmatch_m7_256:\n" PLANE("6",
            FIRST_SIXTEEN SIXTEEN THREE_TIMES(
                SIXTEEN SIXTEEN)) ".global match_m7_128\n.thumb_func\nmatch_m7_128:\n" PLANE("5",
            FIRST_SIXTEEN THREE_TIMES(
                SIXTEEN)) ".global match_m7_64\n.thumb_func\nmatch_m7_64:\n" PLANE("4",
            FIRST_SIXTEEN SIXTEEN) ".global match_m7_32\n.thumb_func\nmatch_m7_32:\n" PLANE("3",
            FIRST_SIXTEEN) ".global match_m7_16\n.thumb_func\nmatch_m7_16:\n" PLANE("3",
            FIRST_SIXTEEN) "ldmia r3, {r3-r7}\n"
                           "vmov r8, r9, s3, s4\n"
                           // c = score * inverse >> MOTEYE_SET_COSINE_SHIFT, which fits 32 bits
                           "smull r8, r11, r10, r8\n"
                           "lsr r8, r8, #" NUMBER(
                               MOTEYE_SET_COSINE_SHIFT) "\n"
                                                        "orr r8, r8, r11, lsl #32 - " NUMBER(
                                                            MOTEYE_SET_COSINE_SHIFT) "\n"
                                                                                     // (c * mult >> shift) + offset, below 2^31 since shift >= 14
                                                                                     "ldrh r12, "
                                                                                     "[r4, r1, lsl "
                                                                                     "#1]\n"
                                                                                     "ldrsh r10, "
                                                                                     "[r5, r1, lsl "
                                                                                     "#1]\n"
                                                                                     "smull r8, "
                                                                                     "r11, r8, "
                                                                                     "r12\n"
                                                                                     "lsr r8, r7\n"
                                                                                     "lsl r11, r3\n"
                                                                                     "orr r8, r11\n"
                                                                                     "add r8, r10\n"
                                                                                     "ssat r8, "
                                                                                     "#16, r8\n"
                                                                                     "strh r8, "
                                                                                     "[r6, r1, lsl "
                                                                                     "#1]\n"
                                                                                     "add r1, #1\n"
                                                                                     "cmp r1, r9\n"
                                                                                     "bne 1b\n"
                                                                                     "pop {r4-r11, "
                                                                                     "pc}\n"
                                                                                     ".ltorg\n");
}

extern const uint8_t match_m7_16[], match_m7_32[], match_m7_64[], match_m7_128[], match_m7_256[];

// Eight entries to the halves that a word of nibbles meets: (3, 7) (2, 6) (1, 5) (0, 4).
static inline uint32_t widen_eight(const int8_t *from, uint32_t *to, uint32_t square) {
    uint32_t a = m7_load(from), b = m7_load(from + 4);
    uint32_t a02 = m7_sxtab16(0, a), a13 = m7_sxtab16_odd(0, a);
    uint32_t b02 = m7_sxtab16(0, b), b13 = m7_sxtab16_odd(0, b);
    to[0] = m7_pack_high(a13, b13);
    to[1] = m7_pack_high(a02, b02);
    to[2] = m7_pack_low(a13, b13);
    to[3] = m7_pack_low(a02, b02);
    for (uint32_t i = 0; i < 4; i++) {
        square = (uint32_t)m7_smlad(to[i], to[i], (int32_t)square);
    }
    return square;
}

bool match_prototypes_m7(const prototype_set_t *set, const int8_t *embedding, int16_t *margins) {
    static const uint8_t *const entries[PROTOTYPE_SET_MAX_PLANES] = {
        match_m7_16, match_m7_32, match_m7_64, match_m7_128, match_m7_256};
    uint32_t used = set->planes_used, shift = set->header.shift[used - 1];
    if (shift < 14 || shift > 32) {
        return false;
    }
    uint32_t words[PROTOTYPE_SET_MAX_DIM / 2];
    table_m7_t table;
    plane_m7_t *planes = table.planes + PROTOTYPE_SET_MAX_PLANES - used;
    uint32_t square = 0, *to = words;
    const int8_t *end = embedding + set->dim;
    for (uint32_t p = used; p-- > 0;) {
        const prototype_plane_t *plane = &set->planes[p];
        planes[used - 1 - p] = (plane_m7_t){plane->nibbles, plane->scale};
        end -= plane->width;
        for (uint32_t i = 0; i < plane->width; i += 8, to += 4) {
            square = widen_eight(end + i, to, square);
        }
    }
    uint32_t norm = isqrt(square);
    if (norm == 0) {
        return false;
    }
    const prototype_plane_t *last = &set->planes[used - 1];
    table.tail = (tail_m7_t){32 - shift, last->mult, last->offset, margins, shift};
    const void *entry = (const void *)((uintptr_t)entries[used - 1] | 1);
    rows_m7_t rows = {
        words, planes, entry, (1 << MOTEYE_SET_NORM_SHIFT) / (int32_t)norm, set->header.count};
    match_rows(&rows);
    return true;
}

#endif
