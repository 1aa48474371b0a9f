#include "add_s8_m7.h"

#if MOTEYE_M7

#define MIN_COUNT 384 // below, the tables cost more than they save

// Entry k: the int8 of bits k, brought to the common scale, doubled.
static void fill_table(
    int32_t *table, int32_t zero_point, int32_t left, int32_t multiplier, int32_t right) {
    int32_t half = right > 0 ? 1 << (right - 1) : 0;
    for (int32_t value = -128; value < 128; value++) {
        int32_t x = (value - zero_point) * (1 << left);
        int32_t y = m7_smmulr(2 * x, multiplier);
        if (right > 0) {
            y = (y + (y >> 31) + half) >> right;
        }
        table[(uint8_t)value] = 2 * y;
    }
}

static inline int8_t add_one(
    const int32_t *table_a, const int32_t *table_b, uint8_t a, uint8_t b, m7_factor_t f) {
    int32_t sum = table_a[a] + table_b[b];
    return (int8_t)m7_ssat8((m7_smmlar(sum, f.multiplier, f.offset) + (sum >> 31)) >> f.shift);
}

bool add_s8_m7(const add_t *s, const int8_t *a, const int8_t *b, int8_t *output) {
    int32_t right = -s->out_shift;
    // A doubled sum stays below 4 * 255 * 2^20 < 2^30.
    if (s->count < MIN_COUNT || right < 1 || right > 22 || s->out_multiplier < 0) {
        return false;
    }
    int32_t table_a[256], table_b[256];
    fill_table(table_a, s->a_zero_point, s->left_shift, s->a_multiplier, -s->a_shift);
    fill_table(table_b, s->b_zero_point, s->left_shift, s->b_multiplier, -s->b_shift);
    m7_factor_t f = {
        s->out_multiplier, (1 << (right - 1)) + s->out_zero_point * (1 << right), right};
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    uint32_t i = 0;
    for (; i + 4 <= s->count; i += 4) {
        uint32_t xs = m7_load(x + i), ys = m7_load(y + i);
        output[i] = add_one(table_a, table_b, (uint8_t)xs, (uint8_t)ys, f);
        output[i + 1] = add_one(table_a, table_b, (uint8_t)(xs >> 8), (uint8_t)(ys >> 8), f);
        output[i + 2] = add_one(table_a, table_b, (uint8_t)(xs >> 16), (uint8_t)(ys >> 16), f);
        output[i + 3] = add_one(table_a, table_b, (uint8_t)(xs >> 24), (uint8_t)(ys >> 24), f);
    }
    for (; i < s->count; i++) {
        output[i] = add_one(table_a, table_b, x[i], y[i], f);
    }
    m7_clamp(output, s->count, s->act_min, s->act_max);
    return true;
}

#endif
