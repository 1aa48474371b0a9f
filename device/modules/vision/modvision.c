// The module `vision` as a part of the firmware (USER_C_MODULES). What it does is in objects.h.
#include "py/obj.h"
#include "py/runtime.h"

#include "objects.h"

#include "captioner.h"

static void raise_text(const char *text) {
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), text);
}

static const mp_rom_map_elem_t encoder_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_encode), MP_ROM_PTR(&encoder_encode_obj)},
};
static MP_DEFINE_CONST_DICT(encoder_locals, encoder_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(vision_encoder_type, MP_QSTR_Encoder, MP_TYPE_FLAG_NONE, make_new,
    encoder_make_new, attr, encoder_attr, locals_dict, &encoder_locals);

static const mp_rom_map_elem_t prototypes_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_best), MP_ROM_PTR(&prototypes_best_obj)},
    {MP_ROM_QSTR(MP_QSTR_boxes), MP_ROM_PTR(&prototypes_boxes_obj)},
    {MP_ROM_QSTR(MP_QSTR_match), MP_ROM_PTR(&prototypes_match_obj)},
    {MP_ROM_QSTR(MP_QSTR_name), MP_ROM_PTR(&prototypes_name_obj)},
};
static MP_DEFINE_CONST_DICT(prototypes_locals, prototypes_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(vision_prototypes_type, MP_QSTR_Prototypes, MP_TYPE_FLAG_NONE,
    make_new, prototypes_make_new, attr, prototypes_attr, locals_dict, &prototypes_locals);

static vision_encoder_t *encoder_of(mp_obj_t obj) {
    if (!mp_obj_is_type(obj, &vision_encoder_type)) {
        mp_raise_TypeError(MP_ERROR_TEXT("an Encoder"));
    }
    return MP_OBJ_TO_PTR(obj);
}

static const mp_rom_map_elem_t captioner_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_begin), MP_ROM_PTR(&captioner_begin_obj)},
    {MP_ROM_QSTR(MP_QSTR_step), MP_ROM_PTR(&captioner_step_obj)},
    {MP_ROM_QSTR(MP_QSTR_text), MP_ROM_PTR(&captioner_text_obj)},
    {MP_ROM_QSTR(MP_QSTR_tokens), MP_ROM_PTR(&captioner_tokens_obj)},
};
static MP_DEFINE_CONST_DICT(captioner_locals, captioner_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(vision_captioner_type, MP_QSTR_Captioner, MP_TYPE_FLAG_NONE,
    make_new, captioner_make_new, attr, captioner_attr, locals_dict, &captioner_locals);

static const mp_rom_map_elem_t vision_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_vision)},
    {MP_ROM_QSTR(MP_QSTR_Encoder), MP_ROM_PTR(&vision_encoder_type)},
    {MP_ROM_QSTR(MP_QSTR_Prototypes), MP_ROM_PTR(&vision_prototypes_type)},
    {MP_ROM_QSTR(MP_QSTR_Captioner), MP_ROM_PTR(&vision_captioner_type)},
    {MP_ROM_QSTR(MP_QSTR_prob_q8), MP_ROM_PTR(&vision_prob_q8_obj)},
    {MP_ROM_QSTR(MP_QSTR_similarity_q8), MP_ROM_PTR(&vision_similarity_q8_obj)},
    {MP_ROM_QSTR(MP_QSTR_box_resize), MP_ROM_PTR(&vision_box_resize_obj)},
};
static MP_DEFINE_CONST_DICT(vision_globals, vision_globals_table);

const mp_obj_module_t vision_user_cmodule = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&vision_globals,
};

MP_REGISTER_MODULE(MP_QSTR_vision, vision_user_cmodule);
