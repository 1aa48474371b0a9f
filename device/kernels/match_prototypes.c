#include "m55/match_prototypes_m55.h"
#include "m7/match_prototypes_m7.h"
#include "margin.h"
#include "match_prototypes.h"

static int32_t dot_nibbles(const uint8_t *nibbles, const int8_t *e, uint32_t width) {
    int32_t dot = 0;
    for (uint32_t i = 0; i < width / 2; i++) {
        // Sign extension of 4 bits: flip the sign bit, take its weight off.
        int32_t low = ((nibbles[i] & 15) ^ 8) - 8;
        int32_t high = ((nibbles[i] >> 4) ^ 8) - 8;
        dot += low * e[2 * i] + high * e[2 * i + 1];
    }
    return dot;
}

static int32_t score_row(const prototype_set_t *set, const int8_t *e, uint32_t row) {
    int32_t score = 0;
    for (uint32_t p = 0; p < set->planes_used; p++) {
        const prototype_plane_t *plane = &set->planes[p];
        uint32_t row_bytes = plane->width / 2;
        score += plane->scale[row] * dot_nibbles(plane->nibbles + row * row_bytes, e, plane->width);
        e += plane->width;
    }
    return score;
}

void match_prototypes(const prototype_set_t *set, const int8_t *embedding, int16_t *margins) {
#if MOTEYE_M55
    match_prototypes_m55(set, embedding, margins);
    return;
#endif
#if MOTEYE_M7
    if (match_prototypes_m7(set, embedding, margins)) {
        return;
    }
#endif
    int64_t inverse = inverse_norm(embedding, set->dim);
    const prototype_plane_t *last = &set->planes[set->planes_used - 1];
    uint8_t shift = set->header.shift[set->planes_used - 1];
    for (uint32_t row = 0; row < set->header.count; row++) {
        int32_t score = inverse == 0 ? 0 : score_row(set, embedding, row);
        margins[row] = margin_q8(score, inverse, last->mult[row], shift, last->offset[row]);
    }
}
