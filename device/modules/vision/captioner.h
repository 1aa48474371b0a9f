// vision.Captioner, for modvision.c alone: the dynamic native module has none. Included behind
// objects.h.
#ifndef MOTEYE_VISION_CAPTIONER_H
#define MOTEYE_VISION_CAPTIONER_H

#include "caption.h"

typedef struct {
    mp_obj_base_t base;
    held_buffer_t file; // what pack points into
    caption_pack_t pack;
    caption_t caption;
    int8_t *map; // of the frame that its encoder saw last
    void *work;
    bool begun;
} vision_captioner_t;

/* encoder_of: the Encoder in an argument; TypeError for anything else. */
static vision_encoder_t *encoder_of(mp_obj_t obj);

// Captioner(pack, encoder, encoder_hash, beams): from here on `encoder` hands over its map with each
// frame.
static mp_obj_t captioner_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 4, 4, false);
    held_buffer_t file = hold_buffer(args[0]);
    vision_encoder_t *encoder = encoder_of(args[1]);
    mp_buffer_info_t hash = read_buffer(args[2]);
    mp_int_t beams = int_in_range(args[3], 1, CAPTION_MAX_BEAMS);
    caption_pack_t pack;
    raise_unless_ok(caption_pack_open(file.bytes, file.size, &pack));
    if (hash.len != sizeof(pack.header.encoder_hash)) {
        mp_raise_ValueError(MP_ERROR_TEXT("hash size"));
    }
    if (memcmp(hash.buf, pack.header.encoder_hash, hash.len) != 0) {
        raise_unless_ok(MOTEYE_ERR_SPACE);
    }
    size_t map_bytes = (size_t)pack.header.positions * pack.header.channels;
    vision_captioner_t *self = mp_obj_malloc(vision_captioner_t, type);
    self->file = file;
    self->pack = pack;
    self->map = m_new0(int8_t, map_bytes);
    self->work = m_malloc(caption_work_bytes(&pack, beams));
    self->begun = false;
    raise_unless_ok(
        model_tap(&encoder->model, pack.header.before_end, map_bytes, self->map, &encoder->tap));
    caption_init(&self->pack, beams, self->work, &self->caption);
    return MP_OBJ_FROM_PTR(self);
}

// begin(): looks at the encoder's last frame; what was said is forgotten.
static mp_obj_t captioner_begin(mp_obj_t self_in) {
    vision_captioner_t *self = MP_OBJ_TO_PTR(self_in);
    check_held(&self->file);
    caption_begin(&self->caption, self->map);
    self->begun = true;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(captioner_begin_obj, captioner_begin);

// step(): one word further; whether there is more to say.
static mp_obj_t captioner_step(mp_obj_t self_in) {
    vision_captioner_t *self = MP_OBJ_TO_PTR(self_in);
    check_held(&self->file);
    return mp_obj_new_bool(self->begun && caption_step(&self->caption));
}
static MP_DEFINE_CONST_FUN_OBJ_1(captioner_step_obj, captioner_step);

// tokens(out): the words' numbers into an array('H'); returns how many. text(out): the words into a
// bytearray, as many whole ones as fit; returns the bytes.
static mp_obj_t captioner_tokens(mp_obj_t self_in, mp_obj_t out_in) {
    vision_captioner_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t out = write_buffer(out_in);
    const caption_sentence_t *best = &self->caption.best;
    if (out.typecode != 'H' || out.len < best->count * sizeof(uint16_t)) {
        mp_raise_ValueError(MP_ERROR_TEXT("tokens size"));
    }
    memcpy(out.buf, best->words, best->count * sizeof(uint16_t));
    return MP_OBJ_NEW_SMALL_INT(best->count);
}
static MP_DEFINE_CONST_FUN_OBJ_2(captioner_tokens_obj, captioner_tokens);

static mp_obj_t captioner_text(mp_obj_t self_in, mp_obj_t out_in) {
    vision_captioner_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t out = write_buffer(out_in);
    check_held(&self->file);
    return MP_OBJ_NEW_SMALL_INT(caption_text(&self->caption, out.buf, out.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(captioner_text_obj, captioner_text);

static void captioner_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    const vision_captioner_t *self = MP_OBJ_TO_PTR(self_in);
    switch (attr) {
        case MP_QSTR_words: dest[0] = MP_OBJ_NEW_SMALL_INT(self->pack.header.words); break;
        case MP_QSTR_longest: dest[0] = MP_OBJ_NEW_SMALL_INT(self->pack.header.longest); break;
        case MP_QSTR_logp_q10: dest[0] = mp_obj_new_int_from_ll(self->caption.best.logp_q10); break;
        case MP_QSTR_work_bytes:
            dest[0] =
                mp_obj_new_int_from_uint(caption_work_bytes(&self->pack, self->caption.beams));
            break;
        default: dest[1] = MP_OBJ_SENTINEL; break;
    }
}

#endif
