#include "find_boxes.h"
#include "isqrt.h"

#define MATCHED MOTEYE_BOX_DIM
#define OBJECT MATCHED
#define EDGES (MATCHED + 1)
#define MOST_CELLS (ENCODER_MOST_SIDE * ENCODER_MOST_SIDE)
#define TAKEN INT16_MIN

// A row's first entries as integers; their length, 0 for an empty row.
typedef struct {
    int32_t entry[MATCHED];
    uint32_t count, length;
} direction_t;

static uint32_t planes_into(const prototype_set_t *set, uint32_t row, int32_t *entry) {
    uint32_t at = 0;
    for (uint32_t p = 0; p < set->planes_used && at < MATCHED; p++) {
        const prototype_plane_t *plane = &set->planes[p];
        const uint8_t *nibbles = plane->nibbles + row * plane->width / 2;
        int32_t scale = plane->scale[row];
        for (uint32_t i = 0; i < plane->width / 2; i++) {
            entry[at++] = scale * (((nibbles[i] & 15) ^ 8) - 8);
            entry[at++] = scale * (((nibbles[i] >> 4) ^ 8) - 8);
        }
    }
    return at;
}

static uint32_t words_into(const prototype_set_t *set, uint32_t row, int32_t *entry) {
    const prototype_codebook_t *book = &set->codebook;
    const uint8_t *code = book->codes + row * set->header.parts;
    const int8_t *words = book->words;
    uint32_t at = 0;
    for (uint32_t m = 0; m < set->header.parts && at < MATCHED; m++) {
        uint32_t width = book->widths[m];
        const int8_t *word = words + code[m] * width;
        for (uint32_t i = 0; i < width && at < MATCHED; i++) {
            entry[at++] = book->scales[m] * word[i];
        }
        words += 256 * width;
    }
    return at;
}

static void read_direction(const prototype_set_t *set, uint32_t row, direction_t *to) {
    to->count =
        set->header.parts > 0 ? words_into(set, row, to->entry) : planes_into(set, row, to->entry);
    uint64_t square = 0;
    for (uint32_t i = 0; i < to->count; i++) {
        square += (uint64_t)((int64_t)to->entry[i] * to->entry[i]);
    }
    to->length = isqrt_64(square);
}

static int16_t cell_margin(const direction_t *row, int64_t inverse, const int8_t *cell) {
    int32_t dot = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        dot += row->entry[i] * cell[i];
    }
    int64_t margin = ((16 * (int64_t)dot * inverse) >> 28) + 16 * cell[OBJECT];
    return (int16_t)(margin <= INT16_MIN ? INT16_MIN + 1 : margin > INT16_MAX ? INT16_MAX : margin);
}

static uint16_t edge(int32_t middle, int8_t away, int32_t sign) {
    int32_t at = middle + sign * (away < 0 ? 0 : away) * (MOTEYE_BOX_GRID / 128);
    return (uint16_t)(at < 0 ? 0 : at > MOTEYE_BOX_GRID ? MOTEYE_BOX_GRID : at);
}

static void read_edges(const int8_t *cells, uint32_t side, uint32_t at, found_box_t *box) {
    const int8_t *away = cells + at * MOTEYE_CELL_BYTES + EDGES;
    int32_t x = (int32_t)((2 * (at % side) + 1) * (MOTEYE_BOX_GRID / 2) / side);
    int32_t y = (int32_t)((2 * (at / side) + 1) * (MOTEYE_BOX_GRID / 2) / side);
    box->left = edge(x, away[0], -1);
    box->top = edge(y, away[1], -1);
    box->right = edge(x, away[2], 1);
    box->bottom = edge(y, away[3], 1);
}

static uint32_t area(uint32_t left, uint32_t top, uint32_t right, uint32_t bottom) {
    return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static int same_thing(const found_box_t *a, const found_box_t *b) {
    uint32_t shared = area(larger(a->left, b->left), larger(a->top, b->top),
        smaller(a->right, b->right), smaller(a->bottom, b->bottom));
    uint32_t sum =
        area(a->left, a->top, a->right, a->bottom) + area(b->left, b->top, b->right, b->bottom);
    return shared * 20 > (sum - shared) * 9;
}

// The best cell that is not taken, or `count`; it is taken now.
static uint32_t take_best(int16_t *margins, uint32_t count, int32_t least, int16_t *margin) {
    uint32_t best = count;
    *margin = TAKEN;
    for (uint32_t i = 0; i < count; i++) {
        if (margins[i] > *margin && margins[i] >= least) {
            *margin = margins[i];
            best = i;
        }
    }
    if (best < count) {
        margins[best] = TAKEN;
    }
    return best;
}

// Puts a box behind those that are as good; returns how many there are.
static uint32_t insert(found_box_t *boxes, uint32_t found, uint32_t most, const found_box_t *box) {
    if (found == most && boxes[most - 1].margin_q8 >= box->margin_q8) {
        return found;
    }
    uint32_t at = found < most ? found++ : most - 1;
    for (; at > 0 && boxes[at - 1].margin_q8 < box->margin_q8; at--) {
        boxes[at] = boxes[at - 1];
    }
    boxes[at] = *box;
    return found;
}

uint32_t find_boxes(const prototype_set_t *set, const int8_t *cells, uint32_t side,
    found_box_t *boxes, uint32_t most) {
    uint32_t count = side * side, found = 0;
    int16_t margins[MOST_CELLS];
    for (uint32_t row = 0; row < set->header.count; row++) {
        direction_t direction;
        read_direction(set, row, &direction);
        if (direction.length == 0) {
            continue;
        }
        int64_t inverse = (1 << 28) / direction.length;
        for (uint32_t i = 0; i < count; i++) {
            margins[i] = cell_margin(&direction, inverse, cells + i * MOTEYE_CELL_BYTES);
        }
        found_box_t own[MOTEYE_MAX_BOXES];
        uint32_t kept = 0;
        while (kept < most) {
            found_box_t box = {.row = (uint16_t)row};
            uint32_t at = take_best(margins, count, set->header.report_q8, &box.margin_q8);
            if (at == count) {
                break;
            }
            read_edges(cells, side, at, &box);
            uint32_t i = 0;
            while (i < kept && !same_thing(&own[i], &box)) {
                i++;
            }
            if (i == kept) {
                own[kept++] = box;
                found = insert(boxes, found, most, &box);
            }
        }
    }
    return found;
}
