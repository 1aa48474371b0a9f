// What the module `vision` offers, for its two forms: modvision.c (linked into a firmware) and natmod.c
// (a dynamic native module, loaded from a file). Each includes this once, behind the headers of its
// MicroPython, and defines raise_text.
//
// Encoder and Prototypes read the buffer they are given in place and keep a reference to it: it must
// not change while they live. Nothing but the two constructors and .name() allocates.
#ifndef MOTEYE_VISION_OBJECTS_H
#define MOTEYE_VISION_OBJECTS_H

#include <string.h>

#include "best_rows.h"
#include "box_resize.h"
#include "encode.h"
#include "find_boxes.h"
#include "match_codebook.h"
#include "match_prototypes.h"
#include "prob_q8.h"
#include "prototype_set.h"
#include "similarity_q8.h"
#include "status.h"

/* raise_text: ValueError with a text that is not known when this is compiled. */
static void raise_text(const char *text);

// A buffer that is read in place long after the call that brought it.
typedef struct {
    mp_obj_t obj;
    const void *bytes;
    size_t size;
} held_buffer_t;

typedef struct {
    mp_obj_base_t base;
    held_buffer_t pack; // what model points into
    model_t model;
    int8_t *arena;
    model_tap_t tap; // bytes 0: none; its buffer is kept from the garbage collector by this
} vision_encoder_t;

typedef struct {
    mp_obj_base_t base;
    held_buffer_t file; // what set points into
    prototype_set_t set;
    int32_t *table; // scratch of a codebook's match
} vision_prototypes_t;

static void raise_unless_ok(int status) {
    if (status != MOTEYE_OK) {
        raise_text(status_text(status));
    }
}

static mp_buffer_info_t read_buffer(mp_obj_t obj) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(obj, &buffer, MP_BUFFER_READ);
    return buffer;
}

static held_buffer_t hold_buffer(mp_obj_t obj) {
    mp_buffer_info_t buffer = read_buffer(obj);
    held_buffer_t held = {obj, buffer.buf, buffer.len};
    return held;
}

// A bytearray that was resized has left its old bytes to the garbage collector.
static void check_held(const held_buffer_t *held) {
    mp_buffer_info_t buffer = read_buffer(held->obj);
    if (buffer.buf != held->bytes || buffer.len != held->size) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer moved"));
    }
}

static mp_buffer_info_t write_buffer(mp_obj_t obj) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(obj, &buffer, MP_BUFFER_WRITE);
    return buffer;
}

static mp_int_t int_in_range(mp_obj_t obj, mp_int_t low, mp_int_t high) {
    mp_int_t value = mp_obj_get_int(obj);
    if (value < low || value > high) {
        mp_raise_ValueError(MP_ERROR_TEXT("out of range"));
    }
    return value;
}

// An image: its bytes must be exactly what the sides say.
static void check_image(
    const mp_buffer_info_t *buffer, mp_int_t width, mp_int_t height, uint32_t pixel_bytes) {
    if (buffer->len != (uint64_t)width * (uint64_t)height * pixel_bytes) {
        mp_raise_ValueError(MP_ERROR_TEXT("image size"));
    }
}

// ---- Encoder

static mp_obj_t encoder_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    held_buffer_t pack = hold_buffer(args[0]);
    model_t model;
    raise_unless_ok(encoder_open(pack.bytes, pack.size, &model));
    vision_encoder_t *self = mp_obj_malloc(vision_encoder_t, type);
    self->pack = pack;
    self->model = model;
    self->arena = m_new(int8_t, model.header.arena_bytes);
    self->tap = (model_tap_t){0};
    return MP_OBJ_FROM_PTR(self);
}

// The format of a frame that is an array("H"), or bytes of which there are one or three a pixel.
static frame_format_t format_of(const mp_buffer_info_t *frame, mp_int_t width, mp_int_t height) {
    if (frame->typecode == 'H') {
        check_image(frame, width, height, 2);
        return FRAME_RGB565;
    }
    if (frame->len == (uint64_t)width * (uint64_t)height) {
        return FRAME_GREY;
    }
    check_image(frame, width, height, 3);
    return FRAME_RGB888;
}

// encode(frame, width, height, out): frame is bytes of RGB888 or grey, or an array("H") of RGB565; out
// is a bytearray of .out_bytes: the embedding, and the cells behind it where .side is not 0.
static mp_obj_t encoder_encode(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vision_encoder_t *self = MP_OBJ_TO_PTR(args[0]);
    mp_buffer_info_t frame = read_buffer(args[1]);
    mp_int_t width = int_in_range(args[2], 1, 65535);
    mp_int_t height = int_in_range(args[3], 1, 65535);
    mp_buffer_info_t out = write_buffer(args[4]);
    check_held(&self->pack);
    frame_format_t format = format_of(&frame, width, height);
    if (out.len != self->model.header.output.dims[3]) {
        mp_raise_ValueError(MP_ERROR_TEXT("out size"));
    }
    raise_unless_ok(encode_tapped(&self->model, frame.buf, format, width, height, self->arena,
        self->model.header.arena_bytes, self->tap.bytes > 0 ? &self->tap : NULL, out.buf));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(encoder_encode_obj, 5, 5, encoder_encode);

static uint32_t embedding_dim(const vision_encoder_t *encoder) {
    return encoder_side(&encoder->model) > 0 ? ENCODER_DIM : encoder->model.header.output.dims[3];
}

static void encoder_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    const vision_encoder_t *self = MP_OBJ_TO_PTR(self_in);
    const model_header_t *h = &self->model.header;
    if (attr == MP_QSTR_width) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(h->input.dims[2]);
    } else if (attr == MP_QSTR_height) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(h->input.dims[1]);
    } else if (attr == MP_QSTR_dim) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(embedding_dim(self));
    } else if (attr == MP_QSTR_side) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(encoder_side(&self->model));
    } else if (attr == MP_QSTR_out_bytes) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(h->output.dims[3]);
    } else if (attr == MP_QSTR_arena_bytes) {
        dest[0] = mp_obj_new_int_from_uint(h->arena_bytes);
    } else if (attr == MP_QSTR_macs) {
        dest[0] = mp_obj_new_int_from_uint(h->macs);
    } else {
        dest[1] = MP_OBJ_SENTINEL;
    }
}

// ---- Prototypes

static mp_obj_t prototypes_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 3, 3, false);
    held_buffer_t file = hold_buffer(args[0]);
    mp_buffer_info_t hash = read_buffer(args[1]);
    mp_int_t dim = int_in_range(args[2], 0, 65535);
    prototype_set_t set;
    if (hash.len != sizeof(set.header.encoder_hash)) {
        mp_raise_ValueError(MP_ERROR_TEXT("hash size"));
    }
    raise_unless_ok(prototype_set_open(file.bytes, file.size, hash.buf, dim, &set));
    vision_prototypes_t *self = mp_obj_malloc(vision_prototypes_t, type);
    self->file = file;
    self->set = set;
    size_t table_bytes = codebook_table_bytes(&set);
    self->table = table_bytes > 0 ? m_malloc(table_bytes) : NULL;
    return MP_OBJ_FROM_PTR(self);
}

static void check_margins(const vision_prototypes_t *self, const mp_buffer_info_t *margins) {
    if (margins->typecode != 'h' || margins->len != sizeof(int16_t) * self->set.header.count) {
        mp_raise_ValueError(MP_ERROR_TEXT("margins size"));
    }
}

// match(embedding, margins): margins is an array('h') of count entries, or a longer buffer's
// memoryview of them.
static mp_obj_t prototypes_match(mp_obj_t self_in, mp_obj_t embedding_in, mp_obj_t margins_in) {
    vision_prototypes_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t embedding = read_buffer(embedding_in);
    mp_buffer_info_t margins = write_buffer(margins_in);
    check_held(&self->file);
    if (embedding.len < self->set.dim) {
        mp_raise_ValueError(MP_ERROR_TEXT("embedding size"));
    }
    check_margins(self, &margins);
    if (self->table != NULL) {
        match_codebook(&self->set, embedding.buf, self->table, margins.buf);
    } else {
        match_prototypes(&self->set, embedding.buf, margins.buf);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(prototypes_match_obj, prototypes_match);

// best(margins, rows): puts the rows from report_q8 on into an array('H'), best first; returns how
// many.
static mp_obj_t prototypes_best(mp_obj_t self_in, mp_obj_t margins_in, mp_obj_t rows_in) {
    vision_prototypes_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t margins = read_buffer(margins_in);
    mp_buffer_info_t rows = write_buffer(rows_in);
    check_margins(self, &margins);
    if (rows.typecode != 'H' || rows.len < sizeof(uint16_t)) {
        mp_raise_ValueError(MP_ERROR_TEXT("rows size"));
    }
    const prototype_set_header_t *h = &self->set.header;
    uint32_t most = rows.len / sizeof(uint16_t);
    return MP_OBJ_NEW_SMALL_INT(best_rows(margins.buf, h->count, h->report_q8, rows.buf, most));
}
static MP_DEFINE_CONST_FUN_OBJ_3(prototypes_best_obj, prototypes_best);

// boxes(out, side, boxes): finds things in what an encoder of this side gave; boxes is a bytearray,
// 12 bytes for each that there is room for. Returns how many.
static mp_obj_t prototypes_boxes(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    vision_prototypes_t *self = MP_OBJ_TO_PTR(args[0]);
    mp_buffer_info_t out = read_buffer(args[1]);
    mp_int_t side = int_in_range(args[2], 1, ENCODER_MOST_SIDE);
    mp_buffer_info_t boxes = write_buffer(args[3]);
    check_held(&self->file);
    if (out.len != (size_t)(ENCODER_DIM + side * side * MOTEYE_CELL_BYTES)) {
        mp_raise_ValueError(MP_ERROR_TEXT("out size"));
    }
    found_box_t found[MOTEYE_MAX_BOXES];
    size_t room = boxes.len / sizeof(found_box_t);
    uint32_t most = room < MOTEYE_MAX_BOXES ? room : MOTEYE_MAX_BOXES;
    const int8_t *cells = (const int8_t *)out.buf + ENCODER_DIM;
    uint32_t count = find_boxes(&self->set, cells, side, found, most);
    memcpy(boxes.buf, found, count * sizeof(found_box_t));
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(prototypes_boxes_obj, 4, 4, prototypes_boxes);

static mp_obj_t prototypes_name(mp_obj_t self_in, mp_obj_t index_in) {
    vision_prototypes_t *self = MP_OBJ_TO_PTR(self_in);
    mp_int_t index = mp_obj_get_int(index_in);
    check_held(&self->file);
    if (index < 0 || index >= self->set.header.count) {
        mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("no such prototype"));
    }
    size_t bytes;
    const char *name = prototype_set_name(&self->set, index, &bytes);
    return mp_obj_new_str(name, bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_2(prototypes_name_obj, prototypes_name);

static void prototypes_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    const prototype_set_t *set = &((vision_prototypes_t *)MP_OBJ_TO_PTR(self_in))->set;
    if (attr == MP_QSTR_count) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(set->header.count);
    } else if (attr == MP_QSTR_dim) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(set->dim);
    } else if (attr == MP_QSTR_number) {
        dest[0] = mp_obj_new_int_from_uint(set->header.number);
    } else if (attr == MP_QSTR_epoch) {
        dest[0] = mp_obj_new_int_from_uint(set->header.epoch);
    } else if (attr == MP_QSTR_report_q8) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(set->header.report_q8);
    } else {
        dest[1] = MP_OBJ_SENTINEL;
    }
}

// ---- Functions

static mp_obj_t vision_prob_q8(mp_obj_t margin_in) {
    return MP_OBJ_NEW_SMALL_INT(prob_q8(int_in_range(margin_in, INT32_MIN, INT32_MAX)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(vision_prob_q8_obj, vision_prob_q8);

static mp_obj_t vision_similarity_q8(mp_obj_t a_in, mp_obj_t b_in, mp_obj_t dim_in) {
    mp_buffer_info_t a = read_buffer(a_in);
    mp_buffer_info_t b = read_buffer(b_in);
    mp_int_t dim = int_in_range(dim_in, 1, 65535);
    if (a.len < (size_t)dim || b.len < (size_t)dim) {
        mp_raise_ValueError(MP_ERROR_TEXT("embedding size"));
    }
    int32_t similarity;
    raise_unless_ok(similarity_q8(a.buf, b.buf, dim, &similarity));
    return MP_OBJ_NEW_SMALL_INT(similarity);
}
static MP_DEFINE_CONST_FUN_OBJ_3(vision_similarity_q8_obj, vision_similarity_q8);

// box_resize(src, width, height, dst, dst_width, dst_height)
static mp_obj_t vision_box_resize(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t src = read_buffer(args[0]);
    mp_int_t width = int_in_range(args[1], 1, 65535);
    mp_int_t height = int_in_range(args[2], 1, 65535);
    mp_buffer_info_t dst = write_buffer(args[3]);
    mp_int_t dst_width = int_in_range(args[4], 1, 65535);
    mp_int_t dst_height = int_in_range(args[5], 1, 65535);
    check_image(&src, width, height, 3);
    check_image(&dst, dst_width, dst_height, 3);
    raise_unless_ok(box_resize(src.buf, 3, width, height, dst.buf, dst_width, dst_height));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(vision_box_resize_obj, 6, 6, vision_box_resize);

#endif
