#include "trials.h"

#include <stdlib.h>
#include <string.h>

#include "caption.h"
#include "encode.h"
#include "find_boxes.h"
#include "match_codebook.h"
#include "match_prototypes.h"
#include "status.h"
#include "utf8.h"

int try_pack(const uint8_t *data, size_t size, uint32_t max_arena, uint32_t max_macs) {
    model_t model;
    int status = model_open(data, size, &model);
    if (status != MOTEYE_OK || model.header.arena_bytes > max_arena ||
        model.header.macs > max_macs) {
        return status;
    }
    int8_t *arena = calloc(1, model.header.arena_bytes);
    status = model_run(&model, arena, model.header.arena_bytes);
    if (status == MOTEYE_OK && encoder_open(data, size, &model) == MOTEYE_OK) {
        static uint8_t frame[7 * 5 * 3];
        int8_t *out = malloc(model.header.output.dims[3]);
        status = encode(&model, frame, 7, 5, arena, model.header.arena_bytes, out);
        free(out);
    }
    free(arena);
    return status;
}

int try_set(const uint8_t *data, size_t size) {
    static const uint32_t dims[] = {16, 32, 64, 128, 256};
    int result = MOTEYE_ERR_DIM;
    uint8_t hash[8] = "encoder!";
    for (size_t i = 0; i < 5; i++) {
        prototype_set_t set;
        int status = prototype_set_open(data, size, hash, dims[i], &set);
        if (status == MOTEYE_ERR_DIM) {
            continue; // it need not hold all of them; any other reason is the file's
        }
        if (status != MOTEYE_OK) {
            return status;
        }
        int8_t *embedding = malloc(dims[i]);
        memset(embedding, -128, dims[i]);
        int16_t *margins = malloc(sizeof(*margins) * set.header.count);
        if (set.header.parts > 0) {
            int32_t *table = malloc(codebook_table_bytes(&set));
            match_codebook(&set, embedding, table, margins);
            free(table);
        } else {
            match_prototypes(&set, embedding, margins);
        }
        static int8_t cells[36 * MOTEYE_CELL_BYTES];
        memset(cells, i % 2 == 0 ? 127 : -128, sizeof(cells));
        found_box_t boxes[MOTEYE_MAX_BOXES];
        find_boxes(&set, cells, 6, boxes, MOTEYE_MAX_BOXES);
        size_t bytes, total = 0;
        for (uint32_t k = 0; k < set.header.count; k++) {
            const char *name = prototype_set_name(&set, k, &bytes);
            total += bytes ? (uint8_t)name[bytes - 1] : 0;
        }
        free(embedding);
        free(margins);
        result = total == (size_t)-1 ? MOTEYE_ERR_NAMES : MOTEYE_OK;
    }
    return result;
}

int try_captions(const uint8_t *data, size_t size, uint32_t max_macs) {
    static caption_t caption;
    caption_pack_t pack;
    int status = caption_pack_open(data, size, &pack);
    if (status != MOTEYE_OK) {
        return status;
    }
    const caption_header_t *h = &pack.header;
    const uint64_t map_bytes = (uint64_t)h->positions * h->channels;
    uint64_t word = (uint64_t)h->width * (h->words + 8u * h->width + h->positions + h->states);
    if (map_bytes * h->width + word * h->longest * CAPTION_MAX_BEAMS > max_macs) {
        return status;
    }
    int8_t *map = malloc(map_bytes);
    for (size_t i = 0; i < map_bytes; i++) {
        map[i] = (int8_t)(37 * i);
    }
    for (uint32_t beams = 1; beams <= CAPTION_MAX_BEAMS; beams += CAPTION_MAX_BEAMS - 1) {
        void *work = malloc(caption_work_bytes(&pack, beams));
        caption_init(&pack, beams, work, &caption);
        caption_begin(&caption, map);
        while (caption_step(&caption)) {
        }
        char text[256];
        size_t bytes = caption_text(&caption, text, sizeof(text));
        status = utf8_ok((const uint8_t *)text, bytes) ? status : MOTEYE_ERR_WORDS;
        free(work);
    }
    free(map);
    return status;
}
