#include "match_codebook.h"
#include "margin.h"

size_t codebook_table_bytes(const prototype_set_t *set) {
    return sizeof(int32_t) * CODEBOOK_WORDS * set->header.parts;
}

static void fill_table(const prototype_set_t *set, const int8_t *e, int32_t *table) {
    const prototype_codebook_t *book = &set->codebook;
    const int8_t *word = book->words;
    for (uint32_t m = 0; m < set->header.parts; m++) {
        uint32_t width = book->widths[m];
        int32_t scale = book->scales[m];
        for (uint32_t j = 0; j < CODEBOOK_WORDS; j++) {
            int32_t dot = 0;
            for (uint32_t i = 0; i < width; i++) {
                dot += word[i] * e[i];
            }
            *table++ = scale * dot;
            word += width;
        }
        e += width;
    }
}

void match_codebook(
    const prototype_set_t *set, const int8_t *embedding, int32_t *table, int16_t *margins) {
    const prototype_codebook_t *book = &set->codebook;
    const prototype_set_header_t *h = &set->header;
    int64_t inverse = inverse_norm(embedding, set->dim);
    uint32_t parts = h->parts, shift = h->shift[h->plane_count - 1];
    fill_table(set, embedding, table);
    const uint8_t *code = book->codes;
    for (uint32_t row = 0; row < h->count; row++) {
        int32_t score = 0;
        const int32_t *part = table;
        for (uint32_t m = 0; m < parts; m++, part += CODEBOOK_WORDS) {
            score += part[code[m]];
        }
        code += parts;
        margins[row] = margin_q8(score, inverse, book->mult[row], shift, book->offset[row]);
    }
}
