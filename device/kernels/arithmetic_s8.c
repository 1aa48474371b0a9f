#include "arithmetic_s8.h"
#include "model_operator.h"
#include "status.h"

static bool sum_factor_ok(int32_t multiplier, int32_t shift) {
    return requantize_ok(multiplier, shift) && shift <= 0;
}

static bool factors_ok(const arithmetic_t *s) {
    if (s->function == ARITHMETIC_MUL) {
        return requantize_ok(s->out_multiplier, s->out_shift);
    }
    return sum_factor_ok(s->a_multiplier, s->a_shift) &&
           sum_factor_ok(s->b_multiplier, s->b_shift) &&
           sum_factor_ok(s->out_multiplier, s->out_shift) && s->left_shift >= 0 &&
           s->left_shift <= 20;
}

int arithmetic_s8_check(const arithmetic_t *s) {
    for (int i = 0; i < 4; i++) {
        if (s->dims[i] == 0) {
            return MOTEYE_ERR_SHAPE;
        }
    }
    if (s->function > ARITHMETIC_MUL || s->constant > 2 || s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!factors_ok(s) || !zero_point_ok(s->a_zero_point) || !zero_point_ok(s->b_zero_point) ||
        !zero_point_ok(s->out_zero_point) || !activation_ok(s->act_min, s->act_max)) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

static inline int32_t scaled(const arithmetic_t *s, int32_t x, int32_t multiplier, int32_t shift) {
    return rounding_shift_right(
        doubling_high_multiply(x * (1 << s->left_shift), multiplier), -shift);
}

static inline int32_t combine(const arithmetic_t *s, int32_t a, int32_t b) {
    int32_t x = a - s->a_zero_point, y = b - s->b_zero_point;
    if (s->function == ARITHMETIC_MUL) {
        return requantize(x * y, s->out_multiplier, s->out_shift);
    }
    x = scaled(s, x, s->a_multiplier, s->a_shift);
    y = scaled(s, y, s->b_multiplier, s->b_shift);
    int32_t sum = s->function == ARITHMETIC_ADD ? x + y : x - y;
    return rounding_shift_right(doubling_high_multiply(sum, s->out_multiplier), -s->out_shift);
}

// Steps of an operand's four loops: 0 along dims that it repeats over. Returns its bytes.
static uint64_t steps_of(const arithmetic_t *s, uint32_t repeats, size_t step[4]) {
    uint64_t bytes = 1;
    for (int i = 3; i >= 0; i--) {
        bool repeated = (repeats >> i & 1) != 0;
        step[i] = repeated ? 0 : (size_t)bytes;
        bytes *= repeated ? 1 : s->dims[i];
    }
    return bytes;
}

int arithmetic_s8(const arithmetic_t *shape, const int8_t *a, const int8_t *b, int8_t *output) {
    int status = arithmetic_s8_check(shape);
    if (status != MOTEYE_OK) {
        return status;
    }
    // A copy, so that the compiler knows that stores to output leave it alone.
    const arithmetic_t s = *shape;
    size_t a_step[4], b_step[4];
    steps_of(&s, s.repeats & 15, a_step);
    steps_of(&s, s.repeats >> 4, b_step);
    for (size_t i = 0; i < s.dims[0]; i++) {
        for (size_t j = 0; j < s.dims[1]; j++) {
            for (size_t k = 0; k < s.dims[2]; k++) {
                const int8_t *x = a + i * a_step[0] + j * a_step[1] + k * a_step[2];
                const int8_t *y = b + i * b_step[0] + j * b_step[1] + k * b_step[2];
                for (size_t l = s.dims[3]; l > 0; l--, x += a_step[3], y += b_step[3]) {
                    int32_t value = wrapping_add(combine(&s, *x, *y), s.out_zero_point);
                    *output++ = (int8_t)clamp(value, s.act_min, s.act_max);
                }
            }
        }
    }
    return MOTEYE_OK;
}

typedef struct {
    arithmetic_t shape;
    uint32_t constant; // offset from the start of the pack of the constant operand, or 0
} record_t;

_Static_assert(sizeof(record_t) == 48, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    const record_t *r = model_op_body(op);
    const arithmetic_t *s = &r->shape;
    int status = arithmetic_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    size_t steps[4];
    uint64_t a = steps_of(s, s->repeats & 15, steps), b = steps_of(s, s->repeats >> 4, steps);
    out->output_bytes = steps_of(s, 0, steps);
    out->input_bytes = s->constant == 1 ? b : a;
    out->input_b_bytes = s->constant == 0 ? b : 0;
    out->in_place = true;
    bool found = s->constant == 0
                     ? r->constant == 0
                     : model_constant_ok(header, r->constant, s->constant == 1 ? a : b, 1);
    return found ? MOTEYE_OK : MOTEYE_ERR_WEIGHTS;
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    const int8_t *constant = (const int8_t *)pack + r->constant, *input = arena + op->input;
    const int8_t *a = r->shape.constant == 1 ? constant : input;
    const int8_t *b = r->shape.constant == 1   ? input
                      : r->shape.constant == 2 ? constant
                                               : arena + op->input_b;
    return arithmetic_s8(&r->shape, a, b, arena + op->output);
}

const model_operator_t arithmetic_operator = {
    MODEL_OP_ARITHMETIC, sizeof(model_op_t) + sizeof(record_t), check, run};
