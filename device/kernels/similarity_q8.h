/* similarity_q8: cosine of two embeddings, times 256, in integers.
 *   a, b  int8[dim], any 1 <= dim <= 65,535      similarity  out
 * floor(dot * 256 / (isqrt(|a|^2) * isqrt(|b|^2))), roots rounded down, held within -256..256;
 * 0 when a or b is all zero. Returns MOTEYE_OK, or MOTEYE_ERR_SHAPE with
 * *similarity left as it was. Allocates nothing. */
#ifndef MOTEYE_SIMILARITY_Q8_H
#define MOTEYE_SIMILARITY_Q8_H

#include <stddef.h>
#include <stdint.h>

int similarity_q8(const int8_t *a, const int8_t *b, size_t dim, int32_t *similarity);

#endif
