#include "softmax_s8.h"
#include "requantize.h"
#include "model_operator.h"
#include "status.h"

// Qn.m below: n integer bits, m fraction bits, one sign bit. Products of two are rounded doubling
// high multiplies.
#define MAX_DEPTH 2048
#define SUM_INTEGER_BITS 12

int softmax_s8_check(const softmax_t *s) {
    if (s->rows == 0 || s->depth == 0 || s->depth > MAX_DEPTH || s->reserved != 0) {
        return MOTEYE_ERR_SHAPE;
    }
    if (s->multiplier < 0 || s->left_shift < 0 || s->left_shift > 31 || s->diff_min > 0 ||
        s->diff_min < -(((int64_t)31 << 26) >> s->left_shift)) {
        return MOTEYE_ERR_QUANT;
    }
    return MOTEYE_OK;
}

static int32_t saturating_shift_left(int32_t x, int32_t shift) {
    int64_t wide = (int64_t)x * (1 << shift);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

// exp(x) for x in [-1/4, 0), Q0.31: a fourth-order series round -1/8.
static int32_t exp_small(int32_t x_q31) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    int32_t x = x_q31 + (1 << 28);
    int32_t x2 = doubling_high_multiply(x, x);
    int32_t x3 = doubling_high_multiply(x2, x);
    int32_t x4_quarter = rounding_shift_right(doubling_high_multiply(x2, x2), 2);
    int32_t tail = rounding_shift_right(doubling_high_multiply(x4_quarter + x3, third) + x2, 1);
    return exp_minus_eighth + doubling_high_multiply(x + tail, exp_minus_eighth);
}

// exp(x) for x <= 0, Q5.26 to Q0.31: the series for the remainder of 1/4, then one factor a binary
// digit.
static int32_t exp_negative(int32_t x_q26) {
    static const int32_t exp_of_minus[7] = {
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (x_q26 == 0) {
        return INT32_MAX;
    }
    int32_t small = (x_q26 & (quarter - 1)) - quarter;
    int32_t result = exp_small(saturating_shift_left(small, 5));
    int32_t digits = small - x_q26;
    for (int i = 0; i < 7; i++) {
        if (digits & (quarter << i)) {
            result = doubling_high_multiply(result, exp_of_minus[i]);
        }
    }
    return result;
}

// 1 / (1 + x) for x in [0, 1], Q0.31: three Newton steps on half the denominator.
static int32_t reciprocal_one_plus(int32_t x_q31) {
    const int32_t c48_17 = 1515870810, c_minus_32_17 = -1010580540, one_q29 = 1 << 29;
    int32_t half = (int32_t)(((int64_t)x_q31 + INT32_MAX + 1) / 2);
    int32_t x = c48_17 + doubling_high_multiply(c_minus_32_17, half);
    for (int i = 0; i < 3; i++) {
        int32_t error = one_q29 - doubling_high_multiply(x, half);
        x += saturating_shift_left(doubling_high_multiply(error, x), 2);
    }
    return saturating_shift_left(x, 1);
}

static int32_t leading_zeros(uint32_t x) {
    int32_t n = 0;
    for (uint32_t bit = 1u << 31; bit != 0 && (x & bit) == 0; bit >>= 1) {
        n++;
    }
    return n;
}

static int32_t exp_of_difference(const softmax_t *s, int32_t difference) {
    return exp_negative(
        doubling_high_multiply(wrapping_shift_left(difference, s->left_shift), s->multiplier));
}

static void softmax_row(const softmax_t *s, const int8_t *input, int8_t *output) {
    int32_t largest = -128;
    for (uint32_t i = 0; i < s->depth; i++) {
        largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; // Q12.19; at least 1, from the largest itself
    for (uint32_t i = 0; i < s->depth; i++) {
        if (input[i] - largest >= s->diff_min) {
            sum += rounding_shift_right(exp_of_difference(s, input[i] - largest), SUM_INTEGER_BITS);
        }
    }
    int32_t zeros = leading_zeros((uint32_t)sum);
    int32_t scale = reciprocal_one_plus((int32_t)(((uint32_t)sum << zeros) - (1u << 31)));
    int32_t right = SUM_INTEGER_BITS - zeros + 31 - 8;
    for (uint32_t i = 0; i < s->depth; i++) {
        int32_t difference = input[i] - largest;
        int32_t value = -128;
        if (difference >= s->diff_min) {
            int32_t product = doubling_high_multiply(exp_of_difference(s, difference), scale);
            // Shifted by 32 or more, a product is below one half.
            value =
                right > 31 ? -128 : clamp(rounding_shift_right(product, right) - 128, -128, 127);
        }
        output[i] = (int8_t)value;
    }
}

int softmax_s8(const softmax_t *s, const int8_t *input, int8_t *output) {
    int status = softmax_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (uint32_t row = 0; row < s->rows; row++) {
        softmax_row(s, input, output);
        input += s->depth;
        output += s->depth;
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(softmax_t) == 24, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const softmax_t *s = model_op_body(op);
    out->input_bytes = out->output_bytes = (uint64_t)s->rows * s->depth;
    out->in_place = true;
    return softmax_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return softmax_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t softmax_operator = {
    MODEL_OP_SOFTMAX, sizeof(model_op_t) + sizeof(softmax_t), check, run};
