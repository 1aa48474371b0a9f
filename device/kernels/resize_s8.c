#include <stddef.h>

#include "resize_s8.h"
#include "model_operator.h"
#include "status.h"

#define ONE 1024

static int check_places(const resize_place_t *places, uint32_t count, uint32_t size) {
    for (uint32_t i = 0; i < count; i++) {
        if (places[i].first >= size || places[i].second >= size) {
            return MOTEYE_ERR_SHAPE;
        }
        if (places[i].weight > ONE) {
            return MOTEYE_ERR_QUANT;
        }
    }
    return MOTEYE_OK;
}

static bool sides_ok(const resize_t *s) {
    return s->in_h && s->in_w && s->channels && s->out_h && s->out_w && s->reserved == 0;
}

int resize_s8_check(const resize_t *s, const resize_place_t *places) {
    if (!sides_ok(s)) {
        return MOTEYE_ERR_SHAPE;
    }
    int status = check_places(places, s->out_h, s->in_h);
    return status == MOTEYE_OK ? check_places(places + s->out_h, s->out_w, s->in_w) : status;
}

// The pixel of the output between (row, column) pairs.
static void blend(
    const resize_t *s, const int8_t *input, resize_place_t y, resize_place_t x, int8_t *output) {
    const int8_t *top = input + (size_t)y.first * s->in_w * s->channels;
    const int8_t *bottom = input + (size_t)y.second * s->in_w * s->channels;
    size_t left = (size_t)x.first * s->channels, right = (size_t)x.second * s->channels;
    const int32_t up = ONE - y.weight, down = y.weight, here = ONE - x.weight, there = x.weight;
    for (size_t i = 0; i < s->channels; i++) {
        int32_t sum = up * (here * top[left + i] + there * top[right + i]) +
                      down * (here * bottom[left + i] + there * bottom[right + i]);
        output[i] = (int8_t)((sum + (sum > 0 ? ONE * ONE / 2 : -ONE * ONE / 2)) / (ONE * ONE));
    }
}

int resize_s8(
    const resize_t *s, const resize_place_t *places, const int8_t *input, int8_t *output) {
    int status = resize_s8_check(s, places);
    if (status != MOTEYE_OK) {
        return status;
    }
    for (uint32_t y = 0; y < s->out_h; y++) {
        for (uint32_t x = 0; x < s->out_w; x++) {
            blend(s, input, places[y], places[s->out_h + x], output);
            output += s->channels;
        }
    }
    return MOTEYE_OK;
}

typedef struct {
    resize_t shape;
    uint32_t places; // offset from the start of the pack
} record_t;

_Static_assert(sizeof(record_t) == 16 && sizeof(resize_place_t) == 6, "record layout");

static const resize_place_t *places_of(const uint8_t *pack, const record_t *r) {
    return (const resize_place_t *)(const void *)(pack + r->places);
}

static int check(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
    model_footprint_t *out) {
    const record_t *r = model_op_body(op);
    const resize_t *s = &r->shape;
    if (!sides_ok(s)) {
        return MOTEYE_ERR_SHAPE;
    }
    uint64_t bytes = sizeof(resize_place_t) * ((uint64_t)s->out_h + s->out_w);
    if (!model_constant_ok(header, r->places, bytes, 4)) {
        return MOTEYE_ERR_WEIGHTS;
    }
    out->input_bytes = (uint64_t)s->in_h * s->in_w * s->channels;
    out->output_bytes = (uint64_t)s->out_h * s->out_w * s->channels;
    return resize_s8_check(s, places_of(pack, r));
}

static int run(const uint8_t *pack, const model_op_t *op, int8_t *arena) {
    const record_t *r = model_op_body(op);
    return resize_s8(&r->shape, places_of(pack, r), arena + op->input, arena + op->output);
}

const model_operator_t resize_operator = {
    MODEL_OP_RESIZE, sizeof(model_op_t) + sizeof(record_t), check, run};
