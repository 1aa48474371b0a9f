#include <stdbool.h>
#include <string.h>

#include "box_resize.h"
#include "encode.h"
#include "status.h"

#define SCALE_1_128 0x3c000000u // float32 1/128, as bits

static bool is_encoder(const model_header_t *h) {
    const model_tensor_t *in = &h->input, *out = &h->output;
    return in->dims[0] == 1 && in->dims[3] == 3 && in->scale_bits == SCALE_1_128 &&
           in->zero_point == 0 && out->dims[0] == 1 && out->dims[1] == 1 && out->dims[2] == 1 &&
           out->zero_point == 0;
}

int encoder_open(const void *pack, size_t size, model_t *model) {
    model_t opened;
    int status = model_open(pack, size, &opened);
    if (status != MOTEYE_OK) {
        return status;
    }
    if (!is_encoder(&opened.header)) {
        return MOTEYE_ERR_ENCODER;
    }
    *model = opened;
    return MOTEYE_OK;
}

int encode(const model_t *model, const uint8_t *frame, uint32_t width, uint32_t height,
    int8_t *arena, size_t arena_bytes, int8_t *out) {
    const model_header_t *h = &model->header;
    if (arena_bytes < h->arena_bytes) {
        return MOTEYE_ERR_ARENA;
    }
    uint8_t *input = (uint8_t *)arena + h->input.offset;
    int status = box_resize(frame, width, height, input, h->input.dims[2], h->input.dims[1]);
    if (status != MOTEYE_OK) {
        return status;
    }
    size_t input_bytes = (size_t)model_tensor_bytes(&h->input);
    for (size_t i = 0; i < input_bytes; i++) {
        input[i] ^= 0x80; // u8 - 128 as int8
    }
    status = model_run(model, arena, arena_bytes);
    if (status == MOTEYE_OK) {
        memmove(out, arena + h->output.offset, h->output.dims[3]);
    }
    return status;
}
