#include <string.h>

#include "crc32_ieee.h"
#include "model_operator.h"
#include "status.h"

_Static_assert(sizeof(model_header_t) == MODEL_HEADER_BYTES, "header layout");

static int check_tensor(const model_header_t *h, const model_tensor_t *tensor) {
    if (model_tensor_bytes(tensor) == 0) {
        return MOTEYE_ERR_SHAPE;
    }
    if (!zero_point_ok(tensor->zero_point)) {
        return MOTEYE_ERR_QUANT;
    }
    bool inside = model_inside(tensor->offset, model_tensor_bytes(tensor), 0, h->arena_bytes);
    return inside ? MOTEYE_OK : MOTEYE_ERR_ARENA;
}

static int check_header(const uint8_t *pack, size_t size, const model_header_t *h) {
    if (memcmp(h->magic, "MEPK", 4) != 0) {
        return MOTEYE_ERR_MAGIC;
    }
    if (h->version != MODEL_FORMAT_VERSION) {
        return MOTEYE_ERR_VERSION;
    }
    if (h->size_bytes != size) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if (crc32_ieee(pack + 12, size - 12) != h->crc32) {
        return MOTEYE_ERR_CRC;
    }
    static const uint8_t zero[sizeof(h->reserved)];
    if (h->header_bytes != MODEL_HEADER_BYTES || memcmp(h->reserved, zero, sizeof(zero)) != 0 ||
        h->op_count == 0 || h->arena_bytes == 0 || h->ops_offset % 4 != 0 ||
        !model_inside(h->ops_offset, h->ops_bytes, MODEL_HEADER_BYTES, size) ||
        !model_inside(h->data_offset, h->data_bytes, MODEL_HEADER_BYTES, size)) {
        return MOTEYE_ERR_HEADER;
    }
    return MOTEYE_OK;
}

int model_open(const void *pack, size_t size, model_t *model) {
    model_header_t header;
    if (pack == NULL || size < sizeof(header)) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if ((uintptr_t)pack % 4 != 0) {
        return MOTEYE_ERR_ALIGN;
    }
    memcpy(&header, pack, sizeof(header));
    int status = check_header(pack, size, &header);
    if (status == MOTEYE_OK) {
        status = check_tensor(&header, &header.input);
    }
    if (status == MOTEYE_OK) {
        status = check_tensor(&header, &header.output);
    }
    if (status == MOTEYE_OK) {
        status = model_check_ops(pack, &header);
    }
    if (status != MOTEYE_OK) {
        return status;
    }
    model->pack = pack;
    model->header = header;
    return MOTEYE_OK;
}
