#include "trials.h"

#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "find_boxes.h"
#include "match_codebook.h"
#include "match_prototypes.h"
#include "status.h"

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
