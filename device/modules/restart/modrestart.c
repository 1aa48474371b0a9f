// The module `restart`, over restart.h:
//   WDT(timeout=ms)   the watchdog; .feed(). Nothing turns it off
//   reset()           the end of this run
//   reset_cause()     PWRON_RESET, WDT_RESET or SOFT_RESET
//   kept()            bytearray that a reset leaves as it is
// All but kept() are as in the module `machine` of MicroPython's own ports.
#include "py/mperrno.h"
#include "py/runtime.h"

#include "restart.h"

#define MIN_TIMEOUT_MS 10

static void prepare(void) {
    int error = restart_prepare();
    if (error) {
        mp_raise_OSError(error);
    }
}

typedef struct {
    mp_obj_base_t base;
    uint32_t timeout_ms;
} restart_wdt_t;

static mp_obj_t wdt_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *all_args) {
    static const mp_arg_t allowed[] = {
        {MP_QSTR_id, MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_timeout, MP_ARG_INT, {.u_int = 5000}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all_kw_array(n_args, n_kw, all_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[0].u_int != 0 || args[1].u_int < MIN_TIMEOUT_MS) {
        mp_raise_ValueError(MP_ERROR_TEXT("WDT id or timeout"));
    }
    prepare();
    restart_wdt_t *self = mp_obj_malloc(restart_wdt_t, type);
    self->timeout_ms = (uint32_t)args[1].u_int;
    restart_unless_called(self->timeout_ms);
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t wdt_feed(mp_obj_t self_in) {
    const restart_wdt_t *self = MP_OBJ_TO_PTR(self_in);
    restart_unless_called(self->timeout_ms);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(wdt_feed_obj, wdt_feed);

static const mp_rom_map_elem_t wdt_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&wdt_feed_obj)},
};
static MP_DEFINE_CONST_DICT(wdt_locals, wdt_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(restart_wdt_type, MP_QSTR_WDT, MP_TYPE_FLAG_NONE, make_new,
    wdt_make_new, locals_dict, &wdt_locals);

static mp_obj_t mod_reset(void) {
    prepare();
    restart_now(RESTART_SOFT);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_reset_obj, mod_reset);

static mp_obj_t mod_reset_cause(void) {
    prepare();
    return MP_OBJ_NEW_SMALL_INT(restart_cause());
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_reset_cause_obj, mod_reset_cause);

static mp_obj_t mod_kept(void) {
    prepare();
    return mp_obj_new_bytearray_by_ref(RESTART_KEPT_BYTES, restart_kept());
}
static MP_DEFINE_CONST_FUN_OBJ_0(mod_kept_obj, mod_kept);

static const mp_rom_map_elem_t restart_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_restart)},
    {MP_ROM_QSTR(MP_QSTR_WDT), MP_ROM_PTR(&restart_wdt_type)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&mod_reset_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset_cause), MP_ROM_PTR(&mod_reset_cause_obj)},
    {MP_ROM_QSTR(MP_QSTR_kept), MP_ROM_PTR(&mod_kept_obj)},
    {MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(RESTART_POWER_ON)},
    {MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(RESTART_WATCHDOG)},
    {MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(RESTART_SOFT)},
};
static MP_DEFINE_CONST_DICT(restart_globals, restart_globals_table);

const mp_obj_module_t restart_mp_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&restart_globals,
};

MP_REGISTER_MODULE(MP_QSTR_restart, restart_mp_module);
