#include <stdbool.h>

#include "adaptive_pool_s8.h"
#include "model_operator.h"
#include "status.h"

#define MAX_VALUES 32768u
#define CHANNEL_BLOCK 64u

typedef struct {
    uint32_t first, end;
} span_t;

static span_t span_of(uint32_t at, uint32_t in, uint32_t out) {
    span_t span = {at * in / out, ((at + 1) * in + out - 1) / out};
    return span;
}

// At least the longest span.
static uint32_t longest(uint32_t in, uint32_t out) {
    return in / out + 2;
}

int adaptive_pool_s8_check(const adaptive_pool_t *s) {
    bool ok = s->in_h != 0 && s->in_w != 0 && s->out_h != 0 && s->out_w != 0 && s->channels != 0 &&
              s->reserved == 0;
    ok = ok && (uint64_t)longest(s->in_h, s->out_h) * longest(s->in_w, s->out_w) <= MAX_VALUES;
    return ok ? MOTEYE_OK : MOTEYE_ERR_SHAPE;
}

static int8_t mean_of(int32_t sum, int32_t count) {
    return (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
}

// n channels of one output; input and output are at the first of them.
static void pool(const adaptive_pool_t *s, span_t rows, span_t columns, const int8_t *input,
    uint32_t n, int8_t *output) {
    int32_t sums[CHANNEL_BLOCK] = {0};
    for (uint32_t y = rows.first; y < rows.end; y++) {
        const int8_t *at = input + ((size_t)y * s->in_w + columns.first) * s->channels;
        for (uint32_t x = columns.first; x < columns.end; x++, at += s->channels) {
            for (uint32_t c = 0; c < n; c++) {
                sums[c] += at[c];
            }
        }
    }
    int32_t count = (int32_t)((rows.end - rows.first) * (columns.end - columns.first));
    for (uint32_t c = 0; c < n; c++) {
        output[c] = mean_of(sums[c], count);
    }
}

int adaptive_pool_s8(const adaptive_pool_t *s, const int8_t *input, int8_t *output) {
    int status = adaptive_pool_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (uint32_t y = 0; y < s->out_h; y++) {
        span_t rows = span_of(y, s->in_h, s->out_h);
        for (uint32_t x = 0; x < s->out_w; x++, output += s->channels) {
            span_t columns = span_of(x, s->in_w, s->out_w);
            for (uint32_t c = 0; c < s->channels; c += CHANNEL_BLOCK) {
                uint32_t n = s->channels - c < CHANNEL_BLOCK ? s->channels - c : CHANNEL_BLOCK;
                pool(s, rows, columns, input + c, n, output + c);
            }
        }
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(adaptive_pool_t) == 12, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    (void)header;
    const adaptive_pool_t *s = model_op_body(op);
    out->input_bytes = (uint64_t)s->in_h * s->in_w * s->channels;
    out->output_bytes = (uint64_t)s->out_h * s->out_w * s->channels;
    return adaptive_pool_s8_check(s);
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return adaptive_pool_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t adaptive_pool_operator = {
    MODEL_OP_ADAPTIVE_POOL, sizeof(model_op_t) + sizeof(adaptive_pool_t), check, run};
