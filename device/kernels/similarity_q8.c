#include "similarity_q8.h"
#include "isqrt.h"
#include "status.h"

int similarity_q8(const int8_t *a, const int8_t *b, size_t dim, int32_t *similarity) {
    if (dim == 0 || dim > 65535) {
        return MOTEYE_ERR_SHAPE;
    }
    int32_t dot = 0, a_square = 0, b_square = 0;
    for (size_t i = 0; i < dim; i++) {
        dot += a[i] * b[i];
        a_square += a[i] * a[i];
        b_square += b[i] * b[i];
    }
    int64_t norms = (int64_t)isqrt((uint32_t)a_square) * isqrt((uint32_t)b_square);
    if (norms == 0) {
        *similarity = 0;
        return MOTEYE_OK;
    }
    int64_t scaled = (int64_t)dot * 256;
    // C divides towards zero; the contract is the floor.
    int64_t cosine = scaled / norms - (scaled % norms < 0);
    // Floored roots can push the quotient past 1.
    *similarity = (int32_t)(cosine > 256 ? 256 : cosine < -256 ? -256 : cosine);
    return MOTEYE_OK;
}
