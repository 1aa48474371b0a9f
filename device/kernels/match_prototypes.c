#include "isqrt.h"
#include "m7/match_prototypes_m7.h"
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

static int16_t clamp_int16(int64_t x) {
    return (int16_t)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

void match_prototypes(const prototype_set_t *set, const int8_t *embedding, int16_t *margins) {
#if MOTEYE_M7
    if (match_prototypes_m7(set, embedding, margins)) {
        return;
    }
#endif
    uint32_t square = 0;
    for (uint32_t i = 0; i < set->dim; i++) {
        square += (uint32_t)(embedding[i] * embedding[i]);
    }
    uint32_t norm = isqrt(square);
    int64_t inverse = norm == 0 ? 0 : (1 << 24) / norm;
    const prototype_plane_t *last = &set->planes[set->planes_used - 1];
    uint8_t shift = set->header.shift[set->planes_used - 1];
    for (uint32_t row = 0; row < set->header.count; row++) {
        if (norm == 0) {
            margins[row] = INT16_MIN;
            continue;
        }
        int64_t cosine = (score_row(set, embedding, row) * inverse) >> 12;
        margins[row] = clamp_int16(((cosine * last->mult[row]) >> shift) + last->offset[row]);
    }
}
