/* grn_s8: global response normalisation (ConvNeXt V2), int8 to int8, layout [pixels][channels].
 *
 *   norm[c] = sqrt(sum over pixels of (x - in_zero_point)^2)      share[c] = norm[c] / mean(norm)
 *   y = (gamma share + 1) x + beta, with the change of scale and the output's zero point
 *
 *   gamma   int32[channels], Q16      bias  int32[channels], Q16: beta in steps of the output
 *   input   int8[pixels][channels]    output  the same; may be the input itself
 * ratio_q16 is the input's scale over the output's. The struct is also the layout in a pack: 16 bytes.
 * Needs 1 <= pixels <= 65,536, 1 <= channels <= GRN_MAX_CHANNELS, 1 <= ratio_q16 <= 2^22, |gamma| <= 2^30,
 * |bias| <= 2^29. Integers throughout: a norm has 8 fraction bits, a share 12, a channel's factor 16 and is
 * held within +-64; roundings are half up. Returns MOTEYE_OK, MOTEYE_ERR_SHAPE or MOTEYE_ERR_QUANT with
 * output left as it was. Takes 4 * channels bytes of stack; allocates nothing. */
#ifndef MOTEYE_GRN_S8_H
#define MOTEYE_GRN_S8_H

#include <stdint.h>

#define GRN_MAX_CHANNELS 2048u

typedef struct {
    uint32_t pixels;
    uint16_t channels;
    int16_t in_zero_point;
    int32_t ratio_q16;
    int16_t out_zero_point;
    uint16_t reserved; // 0
} grn_t;

int grn_s8(const grn_t *shape, const int8_t *input, const int32_t *gamma, const int32_t *bias,
    int8_t *output);

/* grn_s8_check: the same refusals; gamma and bias may be NULL. */
int grn_s8_check(const grn_t *shape, const int32_t *gamma, const int32_t *bias);

#endif
