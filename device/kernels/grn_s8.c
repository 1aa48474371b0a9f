#include <string.h>

#include "fixed_q10.h"
#include "grn_s8.h"
#include "isqrt.h"
#include "m55/grn_s8_m55.h"
#include "m7/grn_s8_m7.h"
#include "model_operator.h"
#include "status.h"
#include "x86/grn_s8_x86.h"

#define MAX_PIXELS 65536u
#define MAX_RATIO (1 << 22)
#define MAX_GAMMA (1 << 30)
#define MAX_BIAS (1 << 29)
// Of a factor, Q16: 64 times 255 and a bias fit 32 bits.
#define MAX_FACTOR (1 << 22)

static bool all_within(const int32_t *values, uint32_t n, int32_t most) {
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] < -most || values[i] > most) {
            return false;
        }
    }
    return true;
}

int grn_s8_check(const grn_t *s, const int32_t *gamma, const int32_t *bias) {
    if (s->pixels == 0 || s->pixels > MAX_PIXELS || s->channels == 0 ||
        s->channels > GRN_MAX_CHANNELS || s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    bool ok = zero_point_ok(s->in_zero_point) && zero_point_ok(s->out_zero_point) &&
              s->ratio_q16 >= 1 && s->ratio_q16 <= MAX_RATIO;
    ok = ok && (gamma == NULL || all_within(gamma, s->channels, MAX_GAMMA));
    ok = ok && (bias == NULL || all_within(bias, s->channels, MAX_BIAS));
    return ok ? MOTEYE_OK : MOTEYE_ERR_QUANT;
}

// What this processor's own kernels do of the first channels; they tell how many.
#if MOTEYE_M7
#define own_square_sums grn_square_sums_m7
#define own_apply grn_apply_m7
#elif MOTEYE_X86
#define own_square_sums grn_square_sums_x86
#define own_apply grn_apply_x86
#elif !MOTEYE_M55
#define own_square_sums(s, input, sums) 0
#define own_apply(s, input, factors, bias, output) 0
#endif

// Sums of squares, at most 65,536 * 255^2 < 2^32.
static void square_sums(const grn_t *s, const int8_t *input, uint32_t *sums) {
#if MOTEYE_M55
    grn_square_sums_m55(input, s->pixels, s->channels, s->in_zero_point, sums);
#else
    const uint32_t done = own_square_sums(s, input, sums);
    memset(sums + done, 0, (s->channels - done) * sizeof(*sums));
    for (uint32_t pixel = 0; pixel < s->pixels; pixel++, input += s->channels) {
        for (uint32_t c = done; c < s->channels; c++) {
            int32_t x = input[c] - s->in_zero_point;
            sums[c] += (uint32_t)(x * x);
        }
    }
#endif
}

// Sums of squares become norms, Q8; returns their sum.
static uint64_t to_norms(uint32_t *sums, uint32_t channels) {
    uint64_t total = 0;
    for (uint32_t c = 0; c < channels; c++) {
        sums[c] = isqrt_64((uint64_t)sums[c] << 16);
        total += sums[c];
    }
    return total;
}

// What a channel is multiplied by, Q16.
static int32_t factor_of(const grn_t *s, uint32_t norm, uint64_t mean, int32_t gamma) {
    uint64_t share = mean == 0 ? 0 : (((uint64_t)norm << 12) + mean / 2) / mean; // Q12
    int64_t gain = half_up_wide((int64_t)gamma * (int64_t)share, 12) + (1 << 16);
    gain = gain < -MAX_GAMMA ? -MAX_GAMMA : gain > MAX_GAMMA ? MAX_GAMMA : gain;
    return clamp_wide(half_up_wide(gain * s->ratio_q16, 16), -MAX_FACTOR, MAX_FACTOR);
}

static void apply(const grn_t *s, const int8_t *input, const int32_t *factors, const int32_t *bias,
    int8_t *output) {
#if MOTEYE_M55
    grn_apply_m55(s, input, factors, bias, output);
#else
    const uint32_t done = own_apply(s, input, factors, bias, output);
    for (uint32_t pixel = 0; pixel < s->pixels; pixel++) {
        for (uint32_t c = done; c < s->channels; c++) {
            int32_t y = half_up(factors[c] * (input[c] - s->in_zero_point) + bias[c], 16);
            output[c] = (int8_t)clamp(y + s->out_zero_point, -128, 127);
        }
        input += s->channels;
        output += s->channels;
    }
#endif
}

static void normalise(const grn_t *s, const int8_t *input, const int32_t *gamma,
    const int32_t *bias, int8_t *output) {
    union {
        uint32_t norms[GRN_MAX_CHANNELS];
        int32_t factors[GRN_MAX_CHANNELS];
    } of;
    square_sums(s, input, of.norms);
    uint64_t mean = to_norms(of.norms, s->channels) / s->channels;
    for (uint32_t c = 0; c < s->channels; c++) {
        of.factors[c] = factor_of(s, of.norms[c], mean, gamma[c]);
    }
    apply(s, input, of.factors, bias, output);
}

int grn_s8(const grn_t *s, const int8_t *input, const int32_t *gamma, const int32_t *bias,
    int8_t *output) {
    int status = grn_s8_check(s, gamma, bias);
    if (status == MOTEYE_OK) {
        normalise(s, input, gamma, bias, output);
    }
    return status;
}

typedef struct {
    grn_t shape;
    uint32_t gamma, bias; // offsets from the start of the pack
} record_t;

_Static_assert(sizeof(record_t) == 24, "record layout");

static const int32_t *numbers(const uint8_t *pack, uint32_t offset) {
    return (const int32_t *)(const void *)(pack + offset);
}

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    const record_t *r = model_op_body(op);
    int status = grn_s8_check(&r->shape, NULL, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    uint32_t bytes = 4u * r->shape.channels;
    out->input_bytes = out->output_bytes = (uint64_t)r->shape.pixels * r->shape.channels;
    out->in_place = true;
    if (!model_constant_ok(header, r->gamma, bytes, 4) ||
        !model_constant_ok(header, r->bias, bytes, 4)) {
        return MOTEYE_ERR_WEIGHTS;
    }
    return grn_s8_check(&r->shape, numbers(pack, r->gamma), numbers(pack, r->bias));
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    normalise(&r->shape, arena + op->input, numbers(pack, r->gamma), numbers(pack, r->bias),
        arena + op->output);
    return MOTEYE_OK;
}

const model_operator_t grn_operator = {
    MODEL_OP_GRN, sizeof(model_op_t) + sizeof(record_t), check, run};
