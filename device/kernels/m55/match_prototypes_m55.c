#include "../margin.h"
#include "match_prototypes_m55.h"

#if MOTEYE_M55

#include <arm_mve.h>

#define HALF_DIM (PROTOTYPE_SET_MAX_DIM / 2)

// The embedding as the nibbles meet it: entries of even places, and of odd ones.
typedef struct {
    int8_t even[HALF_DIM], odd[HALF_DIM];
} halves_t;

static void split(const int8_t *embedding, uint32_t dim, halves_t *out) {
    for (uint32_t i = 0; i < dim / 2; i++) {
        out->even[i] = embedding[2 * i];
        out->odd[i] = embedding[2 * i + 1];
    }
}

// `bytes` of nibbles times the entries they meet. A nibble at the top of its byte is 16 times its
// value, and has its sign.
static inline int32_t dot_nibbles(
    const uint8_t *nibbles, const int8_t *even, const int8_t *odd, uint32_t bytes) {
    register int32_t dot __asm__("r0") = 0;
    __asm__ volatile("vmov.i8 q4, #0xf0\n"
                     "dlstp.8 lr, %[bytes]\n"
                     "1:\n"
                     "vldrb.u8 q0, [%[nibbles]], #16\n"
                     "vldrb.u8 q2, [%[even]], #16\n"
                     "vshl.i8 q1, q0, #4\n"
                     "vldrb.u8 q3, [%[odd]], #16\n"
                     "vmladava.s8 %[dot], q1, q2\n"
                     "vand q0, q0, q4\n"
                     "vmladava.s8 %[dot], q0, q3\n"
                     "letp lr, 1b\n"
        : [dot] "+r"(dot), [nibbles] "+r"(nibbles), [even] "+r"(even), [odd] "+r"(odd)
        : [bytes] "r"(bytes)
        : "lr", "q0", "q1", "q2", "q3", "q4", "memory");
    return dot / 16;
}

static int32_t score_row(const prototype_set_t *set, const halves_t *e, uint32_t row) {
    int32_t score = 0;
    const int8_t *even = e->even, *odd = e->odd;
    for (uint32_t p = 0; p < set->planes_used; p++) {
        const prototype_plane_t *plane = &set->planes[p];
        uint32_t bytes = plane->width / 2;
        score += plane->scale[row] * dot_nibbles(plane->nibbles + row * bytes, even, odd, bytes);
        even += bytes;
        odd += bytes;
    }
    return score;
}

void match_prototypes_m55(const prototype_set_t *set, const int8_t *embedding, int16_t *margins) {
    halves_t halves;
    split(embedding, set->dim, &halves);
    int64_t inverse = inverse_norm(embedding, set->dim);
    const prototype_plane_t *last = &set->planes[set->planes_used - 1];
    uint8_t shift = set->header.shift[set->planes_used - 1];
    for (uint32_t row = 0; row < set->header.count; row++) {
        int32_t score = inverse == 0 ? 0 : score_row(set, &halves, row);
        margins[row] = margin_q8(score, inverse, last->mult[row], shift, last->offset[row]);
    }
}

#endif
