#include <stdbool.h>
#include <string.h>

#include "codebook_layout.h"
#include "crc32_ieee.h"
#include "prototype_set.h"
#include "status.h"
#include "utf8.h"

_Static_assert(sizeof(prototype_set_header_t) == MOTEYE_SET_HEADER_BYTES, "header layout");

static const uint8_t plane_widths[PROTOTYPE_SET_MAX_PLANES] = MOTEYE_SET_PLANE_WIDTHS;

static uint64_t align_4(uint64_t offset) {
    return (offset + 3) & ~(uint64_t)3;
}

static bool names_ok(const uint8_t *names, size_t size, uint32_t count) {
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at >= size || names[at] > size - at - 1 || !utf8_ok(names + at + 1, names[at])) {
            return false;
        }
        at += 1u + names[at];
    }
    return at == size;
}

// The dimension of all planes.
static uint32_t whole_dim(const prototype_set_header_t *h) {
    uint32_t dim = 0;
    for (uint32_t i = 0; i < h->plane_count; i++) {
        dim += plane_widths[i];
    }
    return dim;
}

static bool canaries_ok(const prototype_set_t *set) {
    const prototype_set_header_t *h = &set->header;
    const uint8_t *at = set->file + h->names_offset + h->names_bytes;
    uint32_t dim = whole_dim(h);
    uint64_t names_end = (uint64_t)h->names_offset + h->names_bytes;
    if (names_end + (uint64_t)h->canary_count * (2 + dim) != h->size_bytes) {
        return false;
    }
    for (uint32_t i = 0; i < h->canary_count; i++) {
        if ((uint32_t)(at[0] | at[1] << 8) >= h->count) {
            return false;
        }
        at += 2 + dim;
    }
    return true;
}

static int check_header(const uint8_t *file, size_t size, const prototype_set_header_t *h) {
    if (memcmp(h->magic, MOTEYE_SET_MAGIC, 4) != 0) {
        return MOTEYE_ERR_MAGIC;
    }
    bool plain = h->format == MOTEYE_SET_FORMAT && h->bits == MOTEYE_SET_BITS;
    bool codebook = h->format == MOTEYE_SET_CODEBOOK_FORMAT && h->bits == MOTEYE_SET_CODEBOOK_BITS;
    if ((!plain && !codebook) || h->preprocessing != MOTEYE_SET_PREPROCESSING) {
        return MOTEYE_ERR_VERSION;
    }
    if (h->size_bytes != size) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if (crc32_ieee(file + MOTEYE_SET_HEADER_BYTES, size - MOTEYE_SET_HEADER_BYTES) != h->crc32) {
        return MOTEYE_ERR_CRC;
    }
    static const uint8_t zero[sizeof(h->reserved)];
    if (h->plane_count < 1 || h->plane_count > PROTOTYPE_SET_MAX_PLANES || h->count < 1 ||
        h->count > MOTEYE_MAX_ROWS || h->canary_count > MOTEYE_MAX_CANARIES ||
        (h->parts > 0) != codebook || h->parts > MOTEYE_SET_MAX_PARTS ||
        memcmp(h->reserved, zero, sizeof(zero)) != 0) {
        return MOTEYE_ERR_HEADER;
    }
    for (int i = 0; i < h->plane_count; i++) {
        if (h->shift[i] > PROTOTYPE_SET_MAX_SHIFT) {
            return MOTEYE_ERR_QUANT;
        }
    }
    return MOTEYE_OK;
}

// Fills the plane pointers. The header is checked; returns where the planes end, from the start of
// the file.
static uint64_t lay_out_planes(prototype_set_t *set) {
    uint64_t at = MOTEYE_SET_HEADER_BYTES, count = set->header.count;
    for (uint32_t i = 0; i < set->header.plane_count; i++) {
        prototype_plane_t *plane = &set->planes[i];
        plane->width = plane_widths[i];
        plane->nibbles = set->file + at;
        at += count * plane->width / 2;
        plane->scale = set->file + at;
        at = align_4(at + count);
        plane->mult = (const uint16_t *)(const void *)(set->file + at);
        at += 2 * count;
        plane->offset = (const int16_t *)(const void *)(set->file + at);
        at = align_4(at + 2 * count);
    }
    return at;
}

// Of a codebook only the whole dimension will do.
static int choose_dim(prototype_set_t *set, uint32_t dim) {
    uint32_t planes = set->header.plane_count;
    set->dim = 0;
    for (uint32_t i = 0; i < planes; i++) {
        set->dim += plane_widths[i];
        set->planes_used = i + 1;
        if (set->dim == dim && (set->header.parts == 0 || i + 1 == planes)) {
            return MOTEYE_OK;
        }
    }
    return MOTEYE_ERR_DIM;
}

int prototype_set_open(const void *file, size_t size, const uint8_t *encoder_hash, uint32_t dim,
    prototype_set_t *set) {
    prototype_set_t opened = {.file = file};
    if (file == NULL || size < sizeof(opened.header)) {
        return MOTEYE_ERR_TRUNCATED;
    }
    if ((uintptr_t)file % 4 != 0) {
        return MOTEYE_ERR_ALIGN;
    }
    memcpy(&opened.header, file, sizeof(opened.header));
    const prototype_set_header_t *h = &opened.header;
    int status = check_header(file, size, h);
    if (status != MOTEYE_OK) {
        return status;
    }
    uint64_t rows_end =
        h->parts > 0 ? codebook_layout(&opened, whole_dim(h)) : lay_out_planes(&opened);
    if (h->names_offset != rows_end || !canaries_ok(&opened)) {
        return MOTEYE_ERR_HEADER;
    }
    bool nameless = h->parts > 0 && h->names_bytes == 0;
    if (!nameless && !names_ok(opened.file + h->names_offset, h->names_bytes, h->count)) {
        return MOTEYE_ERR_NAMES;
    }
    if (memcmp(h->encoder_hash, encoder_hash, sizeof(h->encoder_hash)) != 0) {
        return MOTEYE_ERR_SPACE;
    }
    status = choose_dim(&opened, dim);
    if (status != MOTEYE_OK) {
        return status;
    }
    *set = opened;
    return MOTEYE_OK;
}

const char *prototype_set_name(const prototype_set_t *set, uint32_t index, size_t *bytes) {
    const uint8_t *at = set->file + set->header.names_offset;
    if (set->header.names_bytes == 0) {
        *bytes = 0;
        return (const char *)at;
    }
    for (uint32_t i = 0; i < index; i++) {
        at += 1u + at[0];
    }
    *bytes = at[0];
    return (const char *)at + 1;
}
