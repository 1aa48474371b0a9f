#include "add_s8.h"
#include "m55/add_s8_m55.h"
#include "m7/add_s8_m7.h"
#include "x86/add_s8_x86.h"
#include "model_operator.h"
#include "status.h"

static bool factor_ok(int32_t multiplier, int32_t shift) {
    return requantize_ok(multiplier, shift) && shift <= 0;
}

int add_s8_check(const add_t *s) {
    if (s->count == 0 || s->reserved[0] != 0 || s->reserved[1] != 0 || s->reserved[2] != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!factor_ok(s->a_multiplier, s->a_shift) || !factor_ok(s->b_multiplier, s->b_shift) ||
        !factor_ok(s->out_multiplier, s->out_shift) || s->left_shift < 0 || s->left_shift > 20 ||
        !zero_point_ok(s->a_zero_point) || !zero_point_ok(s->b_zero_point) ||
        !zero_point_ok(s->out_zero_point) || !activation_ok(s->act_min, s->act_max)) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

static inline int32_t scale_down(int32_t x, int32_t multiplier, int32_t right) {
    return rounding_shift_right(doubling_high_multiply(x, multiplier), right);
}

int add_s8(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output) {
    int status = add_s8_check(shape);
    if (status != MOTEYE_OK) {
        return status;
    }
#if MOTEYE_M55
    if (add_s8_m55(shape, a, b, output)) {
        return MOTEYE_OK;
    }
#endif
#if MOTEYE_M7
    if (add_s8_m7(shape, a, b, output)) {
        return MOTEYE_OK;
    }
#endif
    size_t i = 0;
#if MOTEYE_X86
    i = add_s8_x86(shape, a, b, output);
#endif
    // A copy, so that the compiler knows that stores to output leave it alone.
    const add_t s = *shape;
    const int32_t a_right = -s.a_shift, b_right = -s.b_shift, out_right = -s.out_shift;
    for (; i < s.count; i++) {
        int32_t x =
            scale_down((a[i] - s.a_zero_point) * (1 << s.left_shift), s.a_multiplier, a_right);
        int32_t y =
            scale_down((b[i] - s.b_zero_point) * (1 << s.left_shift), s.b_multiplier, b_right);
        int32_t sum = scale_down(x + y, s.out_multiplier, out_right) + s.out_zero_point;
        output[i] = (int8_t)clamp(sum, s.act_min, s.act_max);
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(add_t) == 40, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const add_t *s = model_op_body(op);
    out->input_bytes = out->input_b_bytes = out->output_bytes = s->count;
    out->in_place = true;
    return add_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return add_s8(model_op_body(op), arena + op->input, arena + op->input_b, arena + op->output);
}

const model_operator_t add_operator = {
    MODEL_OP_ADD, sizeof(model_op_t) + sizeof(add_t), check, run};
