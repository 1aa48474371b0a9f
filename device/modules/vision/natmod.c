// The module `vision` as a dynamic native module (.mpy): MicroPython loads it from a file, and needs not
// be built with it. What it does is in objects.h; types and names are made when it is imported.
#include "py/dynruntime.h"

#include "objects.h"

static void raise_text(const char *text) {
    mp_raise_ValueError(text);
}

// The kernels' calls of the C library, which a native module is not linked with.
void *memcpy(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memset(void *to, int value, size_t n) {
    return mp_fun_table.memset_(to, value, n);
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < n; i++) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}

// Not static: the linker of native modules wants it so.
mp_obj_full_type_t vision_encoder_type, vision_prototypes_type;
mp_map_elem_t vision_encoder_locals_table[1], vision_prototypes_locals_table[4];
static MP_DEFINE_CONST_DICT(encoder_locals, vision_encoder_locals_table);
static MP_DEFINE_CONST_DICT(prototypes_locals, vision_prototypes_locals_table);

static void make_type(mp_obj_full_type_t *type, qstr name, const void *make_new, const void *attr,
    const mp_obj_dict_t *locals) {
    type->base.type = &mp_type_type;
    type->flags = MP_TYPE_FLAG_NONE;
    type->name = name;
    MP_OBJ_TYPE_SET_SLOT(type, make_new, make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(type, attr, attr, 1);
    MP_OBJ_TYPE_SET_SLOT(type, locals_dict, locals, 2);
    mp_store_global(name, MP_OBJ_FROM_PTR(type));
}

static mp_map_elem_t element(qstr name, const void *function) {
    return (mp_map_elem_t){MP_OBJ_NEW_QSTR(name), MP_OBJ_FROM_PTR(function)};
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY(void) n_args;
    (void)n_kw;
    (void)args;
    vision_encoder_locals_table[0] = element(MP_QSTR_encode, &encoder_encode_obj);
    make_type(
        &vision_encoder_type, MP_QSTR_Encoder, encoder_make_new, encoder_attr, &encoder_locals);
    vision_prototypes_locals_table[0] = element(MP_QSTR_best, &prototypes_best_obj);
    vision_prototypes_locals_table[1] = element(MP_QSTR_boxes, &prototypes_boxes_obj);
    vision_prototypes_locals_table[2] = element(MP_QSTR_match, &prototypes_match_obj);
    vision_prototypes_locals_table[3] = element(MP_QSTR_name, &prototypes_name_obj);
    make_type(&vision_prototypes_type, MP_QSTR_Prototypes, prototypes_make_new, prototypes_attr,
        &prototypes_locals);
    mp_store_global(MP_QSTR_prob_q8, MP_OBJ_FROM_PTR(&vision_prob_q8_obj));
    mp_store_global(MP_QSTR_similarity_q8, MP_OBJ_FROM_PTR(&vision_similarity_q8_obj));
    mp_store_global(MP_QSTR_box_resize, MP_OBJ_FROM_PTR(&vision_box_resize_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
