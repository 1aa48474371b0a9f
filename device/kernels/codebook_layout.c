#include "codebook_layout.h"
#include "match_codebook.h"

static uint64_t align_4(uint64_t offset) {
    return (offset + 3) & ~(uint64_t)3;
}

uint64_t codebook_layout(prototype_set_t *set, uint32_t dim) {
    prototype_codebook_t *book = &set->codebook;
    uint64_t at = MOTEYE_SET_HEADER_BYTES, count = set->header.count;
    uint32_t parts = set->header.parts, sum = 0;
    if (at + 2 * parts > set->header.size_bytes) {
        return 0;
    }
    book->widths = set->file + at;
    for (uint32_t i = 0; i < parts; i++) {
        if (book->widths[i] == 0) {
            return 0;
        }
        sum += book->widths[i];
    }
    if (sum != dim) {
        return 0;
    }
    book->scales = book->widths + parts;
    at = align_4(at + 2 * parts);
    book->words = (const int8_t *)(set->file + at);
    at += (uint64_t)CODEBOOK_WORDS * dim;
    book->codes = set->file + at;
    at = align_4(at + count * parts);
    book->mult = (const uint16_t *)(const void *)(set->file + at);
    at += 2 * count;
    book->offset = (const int16_t *)(const void *)(set->file + at);
    return align_4(at + 2 * count);
}
