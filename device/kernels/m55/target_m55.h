/* target_m55: whether this build has the kernels for Helium (MVE) cores, and what they share.
 * Private to the runtime. */
#ifndef MOTEYE_TARGET_M55_H
#define MOTEYE_TARGET_M55_H

#if defined(__ARM_FEATURE_MVE)
#define MOTEYE_M55 1
#else
#define MOTEYE_M55 0
#endif

#if MOTEYE_M55

#include <stdbool.h>
#include <stdint.h>

#include "../requantize.h"

/* One channel's requantisation by vqrdmulh, the sign added, vrshl, the zero point added: exact for
 * every sum where `shift` is negative. */
typedef struct {
    int32_t bias, multiplier, shift;
} m55_factor_t;

/* m55_factor: the constants of a channel whose `terms` weights lie `step` apart; the input's zero
 * point is folded into the bias. False for a factor of 1/2 and more, unless its weights are zero. */
bool m55_factor(const channel_quant_t *quant, uint32_t channel, const int8_t *weights,
    uint32_t terms, uint32_t step, int32_t in_zero_point, int32_t out_zero_point,
    m55_factor_t *out);

/* m55_clamp: an activation narrower than int8, over a whole output. */
void m55_clamp(int8_t *values, uint32_t count, int32_t act_min, int32_t act_max);

#endif
#endif
