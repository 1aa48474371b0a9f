#include <stddef.h>
#include <string.h>

#include "copy_s8.h"
#include "model_operator.h"
#include "status.h"

#define MAX_DIM (1u << 24)

// Bytes up to the farthest place; 0 if a place lies before the first.
static uint64_t reach(const uint32_t *dims, const int32_t *step, uint32_t start) {
    int64_t low = start, high = start;
    for (int i = 0; i < 4; i++) {
        int64_t span = (int64_t)(dims[i] - 1) * step[i];
        low += span < 0 ? span : 0;
        high += span > 0 ? span : 0;
    }
    return low < 0 ? 0 : (uint64_t)high + 1;
}

int copy_s8_check(const copy_t *s, uint64_t *from_bytes, uint64_t *to_bytes) {
    uint64_t count = 1;
    for (int i = 0; i < 4; i++) {
        count *= s->dims[i];
        if (s->dims[i] == 0 || s->dims[i] > MAX_DIM || count > UINT32_MAX) {
            return MOTEYE_ERR_SHAPE;
        }
    }
    uint64_t from = reach(s->dims, s->from_step, s->from_start);
    uint64_t to = reach(s->dims, s->to_step, s->to_start);
    if (from_bytes != NULL) {
        *from_bytes = from;
        *to_bytes = to;
    }
    return from == 0 || to == 0 ? MOTEYE_ERR_SHAPE : MOTEYE_OK;
}

static void copy_run(const copy_t *s, const int8_t *from, int8_t *to) {
    const ptrdiff_t from_step = s->from_step[3], to_step = s->to_step[3];
    if (from_step == 1 && to_step == 1) {
        memcpy(to, from, s->dims[3]);
        return;
    }
    for (uint32_t n = s->dims[3]; n > 0; n--, from += from_step, to += to_step) {
        *to = *from;
    }
}

int copy_s8(const copy_t *s, const int8_t *input, int8_t *output) {
    int status = copy_s8_check(s, NULL, NULL);
    if (status != MOTEYE_OK) {
        return status;
    }
    input += s->from_start;
    output += s->to_start;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->dims[0]; i++) {
        for (ptrdiff_t j = 0; j < (ptrdiff_t)s->dims[1]; j++) {
            for (ptrdiff_t k = 0; k < (ptrdiff_t)s->dims[2]; k++) {
                copy_run(s, input + i * s->from_step[0] + j * s->from_step[1] + k * s->from_step[2],
                    output + i * s->to_step[0] + j * s->to_step[1] + k * s->to_step[2]);
            }
        }
    }
    return MOTEYE_OK;
}

_Static_assert(sizeof(copy_t) == 56, "record layout");

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    (void)pack;
    const copy_t *s = model_op_body(op);
    int status = copy_s8_check(s, &out->input_bytes, &out->output_bytes);
    // Steps of 0 would let a small arena ask for endless work.
    uint64_t count = (uint64_t)s->dims[0] * s->dims[1] * ((uint64_t)s->dims[2] * s->dims[3]);
    return status == MOTEYE_OK && count > header->arena_bytes ? MOTEYE_ERR_SHAPE : status;
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    (void)pack;
    return copy_s8(model_op_body(op), arena + op->input, arena + op->output);
}

const model_operator_t copy_operator = {
    MODEL_OP_COPY, sizeof(model_op_t) + sizeof(copy_t), check, run};
