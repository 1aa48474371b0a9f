/* margin: from the product of an embedding and a row to a calibrated margin; match_prototypes.h has
 * the definition. */
#ifndef MOTEYE_MARGIN_H
#define MOTEYE_MARGIN_H

#include <stdint.h>

#include "isqrt.h"
#include "wire.h"

// 2^MOTEYE_SET_NORM_SHIFT / n for the length n of e int8[dim]; 0 where it is zero.
static inline int64_t inverse_norm(const int8_t *e, uint32_t dim) {
    uint32_t square = 0;
    for (uint32_t i = 0; i < dim; i++) {
        square += (uint32_t)(e[i] * e[i]);
    }
    uint32_t norm = isqrt(square);
    return norm == 0 ? 0 : (1 << MOTEYE_SET_NORM_SHIFT) / norm;
}

static inline int16_t margin_q8(
    int32_t score, int64_t inverse, uint16_t mult, uint32_t shift, int16_t offset) {
    if (inverse == 0) {
        return MOTEYE_SET_MARGIN_NONE;
    }
    int64_t cosine = (score * inverse) >> MOTEYE_SET_COSINE_SHIFT;
    int64_t margin = ((cosine * mult) >> shift) + offset;
    return (int16_t)(margin < INT16_MIN ? INT16_MIN : margin > INT16_MAX ? INT16_MAX : margin);
}

#endif
