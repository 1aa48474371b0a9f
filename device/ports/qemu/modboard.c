// The module `board`, the firmware's way to what only a board has (device/ports/README.md):
//   UART(number)   a byte stream that never waits; opening it forgets what came before
//   pack()         the model pack in flash, a memoryview: read in place, never copied
//   captions()      the caption pack in flash, likewise
//   argument()     what the emulator was started with: a configuration file or a script
//   exit(code)     the end
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "semihost.h"
#include "uart.h"

#define MAX_COMMAND_LINE 1024

extern const uint8_t pack_start[], pack_end[], captions_start[], captions_end[]; // pack.S

// ---- UART

typedef struct {
    mp_obj_base_t base;
    uint8_t number;
    bool open;
} board_uart_t;

static mp_obj_t uart_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    mp_int_t number = mp_obj_get_int(args[0]);
    if (number <= UART_CONSOLE || number >= UART_COUNT) {
        mp_raise_OSError(MP_ENODEV);
    }
    board_uart_t *self = mp_obj_malloc(board_uart_t, type);
    self->number = (uint8_t)number;
    self->open = true;
    uart_open(self->number);
    return MP_OBJ_FROM_PTR(self);
}

// Why nothing moved; a closed UART says so.
static mp_uint_t nothing_moved(const board_uart_t *self, int *errcode) {
    *errcode = self->open ? MP_EAGAIN : MP_EBADF;
    return MP_STREAM_ERROR;
}

static mp_uint_t uart_stream_read(mp_obj_t self_in, void *to, mp_uint_t size, int *errcode) {
    const board_uart_t *self = MP_OBJ_TO_PTR(self_in);
    size_t got = self->open ? uart_read(self->number, to, size) : 0;
    return got ? got : nothing_moved(self, errcode);
}

static mp_uint_t uart_stream_write(
    mp_obj_t self_in, const void *from, mp_uint_t size, int *errcode) {
    const board_uart_t *self = MP_OBJ_TO_PTR(self_in);
    size_t put = self->open ? uart_write(self->number, from, size) : 0;
    return put || (self->open && !size) ? put : nothing_moved(self, errcode);
}

static mp_uint_t uart_stream_ioctl(
    mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    board_uart_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        mp_uint_t ready = 0;
        if (!self->open) {
            return MP_STREAM_POLL_NVAL;
        }
        if ((arg & MP_STREAM_POLL_RD) && uart_can_read(self->number)) {
            ready |= MP_STREAM_POLL_RD;
        }
        if ((arg & MP_STREAM_POLL_WR) && uart_can_write(self->number)) {
            ready |= MP_STREAM_POLL_WR;
        }
        return ready;
    }
    if (request == MP_STREAM_CLOSE) {
        if (self->open) {
            self->open = false;
            uart_close(self->number);
        }
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_rom_map_elem_t uart_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read1_obj)},
    {MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj)},
    {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write1_obj)},
    {MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj)},
};
static MP_DEFINE_CONST_DICT(uart_locals, uart_locals_table);

static const mp_stream_p_t uart_stream = {
    .read = uart_stream_read, .write = uart_stream_write, .ioctl = uart_stream_ioctl};

static MP_DEFINE_CONST_OBJ_TYPE(board_uart_type, MP_QSTR_UART, MP_TYPE_FLAG_NONE, make_new,
    uart_make_new, protocol, &uart_stream, locals_dict, &uart_locals);

// ---- The rest

static mp_obj_t board_pack(void) {
    return mp_obj_new_memoryview('B', pack_end - pack_start, (void *)pack_start);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_pack_obj, board_pack);

static mp_obj_t board_captions(void) {
    return mp_obj_new_memoryview('B', captions_end - captions_start, (void *)captions_start);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_captions_obj, board_captions);

// The command line behind the program's name: one argument, blanks and all.
static mp_obj_t board_argument(void) {
    static char line[MAX_COMMAND_LINE];
    if (semihost_command_line(line, sizeof(line)) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    const char *blank = strchr(line, ' ');
    const char *argument = blank ? blank + 1 : "";
    return mp_obj_new_str(argument, strlen(argument));
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_argument_obj, board_argument);

static mp_obj_t board_exit(mp_obj_t code) {
    semihost_exit(mp_obj_get_int(code));
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_exit_obj, board_exit);

static const mp_rom_map_elem_t board_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_board)},
    {MP_ROM_QSTR(MP_QSTR_UART), MP_ROM_PTR(&board_uart_type)},
    {MP_ROM_QSTR(MP_QSTR_pack), MP_ROM_PTR(&board_pack_obj)},
    {MP_ROM_QSTR(MP_QSTR_captions), MP_ROM_PTR(&board_captions_obj)},
    {MP_ROM_QSTR(MP_QSTR_argument), MP_ROM_PTR(&board_argument_obj)},
    {MP_ROM_QSTR(MP_QSTR_exit), MP_ROM_PTR(&board_exit_obj)},
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&board_globals,
};

MP_REGISTER_MODULE(MP_QSTR_board, board_module);
