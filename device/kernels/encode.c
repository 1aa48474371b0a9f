#include <stdbool.h>
#include <string.h>

#include "box_resize.h"
#include "box_resize_rgb565.h"
#include "encode.h"
#include "status.h"

#define SCALE_1_128 0x3c000000u // float32 1/128, as bits

static bool is_encoder(const model_header_t *h) {
    const model_tensor_t *in = &h->input, *out = &h->output;
    return in->dims[0] == 1 && in->dims[3] == 3 && in->scale_bits == SCALE_1_128 &&
           in->zero_point == 0 && out->dims[0] == 1 && out->dims[1] == 1 && out->dims[2] == 1 &&
           out->zero_point == 0;
}

uint32_t encoder_side(const model_t *model) {
    for (uint32_t side = 1; side <= ENCODER_MOST_SIDE; side++) {
        if (model->header.output.dims[3] == ENCODER_DIM + side * side * MOTEYE_CELL_BYTES) {
            return side;
        }
    }
    return 0;
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

void encode_centre(uint8_t *bytes, size_t count) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof(word));
        word ^= 0x80808080u;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < count; i++) {
        bytes[i] ^= 0x80;
    }
}

int encode_tapped(const model_t *model, const void *frame, frame_format_t format, uint32_t width,
    uint32_t height, int8_t *arena, size_t arena_bytes, const model_tap_t *tap, int8_t *out) {
    const model_header_t *h = &model->header;
    if (arena_bytes < h->arena_bytes) {
        return MOTEYE_ERR_ARENA;
    }
    uint8_t *input = (uint8_t *)arena + h->input.offset;
    uint16_t side_x = h->input.dims[2], side_y = h->input.dims[1];
    int status =
        format == FRAME_RGB565
            ? box_resize_rgb565(frame, width, height, input, side_x, side_y)
            : box_resize(frame, format == FRAME_GREY ? 1 : 3, width, height, input, side_x, side_y);
    if (status != MOTEYE_OK) {
        return status;
    }
    encode_centre(input, (size_t)model_tensor_bytes(&h->input));
    status = model_run_tapped(model, arena, arena_bytes, tap);
    if (status == MOTEYE_OK) {
        memmove(out, arena + h->output.offset, h->output.dims[3]);
    }
    return status;
}

int encode(const model_t *model, const uint8_t *frame, uint32_t width, uint32_t height,
    int8_t *arena, size_t arena_bytes, int8_t *out) {
    return encode_tapped(model, frame, FRAME_RGB888, width, height, arena, arena_bytes, NULL, out);
}
