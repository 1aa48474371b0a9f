// The host's files, by semihosting, as MicroPython's file system: what flash with littlefs is on a
// board. Folders cannot be made or listed. No module is ever imported from it.
#include <string.h>

#include "extmod/vfs.h"
#include "py/builtin.h"
#include "py/mperrno.h"
#include "py/objtuple.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "hostfs.h"
#include "semihost.h"

typedef struct {
    mp_obj_base_t base;
    int handle; // -1: closed
    uint32_t at;
} file_t;

static const mp_obj_type_t hostfs_type, binary_file_type, text_file_type;

static NORETURN void raise_host_error(void) {
    int number = semihost_errno();
    mp_raise_OSError(number > 0 ? number : MP_EIO);
}

// ---- Files

static mp_uint_t file_read(mp_obj_t self_in, void *to, mp_uint_t size, int *errcode) {
    file_t *self = MP_OBJ_TO_PTR(self_in);
    uint32_t left = self->handle < 0 ? UINT32_MAX : semihost_read(self->handle, to, size);
    if (left > size) {
        *errcode = MP_EBADF;
        return MP_STREAM_ERROR;
    }
    self->at += size - left;
    return size - left;
}

static mp_uint_t file_write(mp_obj_t self_in, const void *from, mp_uint_t size, int *errcode) {
    file_t *self = MP_OBJ_TO_PTR(self_in);
    uint32_t left = self->handle < 0 ? UINT32_MAX : semihost_write(self->handle, from, size);
    if (left > size || (left && left == size)) {
        *errcode = MP_EIO;
        return MP_STREAM_ERROR;
    }
    self->at += size - left;
    return size - left;
}

static mp_uint_t file_seek(file_t *self, struct mp_stream_seek_t *seek, int *errcode) {
    mp_off_t base = seek->whence == MP_SEEK_SET   ? 0
                    : seek->whence == MP_SEEK_CUR ? (mp_off_t)self->at
                                                  : semihost_size(self->handle);
    mp_off_t to = base + seek->offset;
    if (to < 0 || semihost_seek(self->handle, (uint32_t)to) != 0) {
        *errcode = MP_EINVAL;
        return MP_STREAM_ERROR;
    }
    self->at = (uint32_t)to;
    seek->offset = to;
    return 0;
}

static mp_uint_t file_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    file_t *self = MP_OBJ_TO_PTR(self_in);
    switch (request) {
        case MP_STREAM_SEEK: return file_seek(self, (struct mp_stream_seek_t *)arg, errcode);
        case MP_STREAM_FLUSH: return 0;
        case MP_STREAM_CLOSE:
            if (self->handle >= 0) {
                semihost_close(self->handle);
                self->handle = -1;
            }
            return 0;
        default: *errcode = MP_EINVAL; return MP_STREAM_ERROR;
    }
}

static const mp_rom_map_elem_t file_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj)},
    {MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj)},
    {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj)},
    {MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj)},
    {MP_ROM_QSTR(MP_QSTR_seek), MP_ROM_PTR(&mp_stream_seek_obj)},
    {MP_ROM_QSTR(MP_QSTR_tell), MP_ROM_PTR(&mp_stream_tell_obj)},
    {MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj)},
    {MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj)},
    {MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj)},
    {MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj)},
};
static MP_DEFINE_CONST_DICT(file_locals, file_locals_table);

static const mp_stream_p_t binary_stream = {
    .read = file_read, .write = file_write, .ioctl = file_ioctl};
static const mp_stream_p_t text_stream = {
    .read = file_read, .write = file_write, .ioctl = file_ioctl, .is_text = true};

static MP_DEFINE_CONST_OBJ_TYPE(binary_file_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &binary_stream, locals_dict, &file_locals);
static MP_DEFINE_CONST_OBJ_TYPE(text_file_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &text_stream, locals_dict, &file_locals);

// ---- The file system

static mp_obj_t hostfs_open(mp_obj_t self, mp_obj_t path, mp_obj_t mode_in) {
    (void)self;
    const char *mode = mp_obj_str_get_str(mode_in);
    const mp_obj_type_t *type = strchr(mode, 'b') ? &binary_file_type : &text_file_type;
    int how = strchr(mode, 'w')   ? SEMIHOST_WRITE
              : strchr(mode, 'a') ? SEMIHOST_APPEND
              : strchr(mode, '+') ? SEMIHOST_UPDATE
                                  : SEMIHOST_READ;
    file_t *file = mp_obj_malloc_with_finaliser(file_t, type);
    file->at = 0;
    file->handle = semihost_open(mp_obj_str_get_str(path), how);
    if (file->handle < 0) {
        raise_host_error();
    }
    return MP_OBJ_FROM_PTR(file);
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostfs_open_obj, hostfs_open);

static mp_obj_t hostfs_stat(mp_obj_t self, mp_obj_t path) {
    (void)self;
    int handle = semihost_open(mp_obj_str_get_str(path), SEMIHOST_READ);
    if (handle < 0) {
        raise_host_error();
    }
    int size = semihost_size(handle);
    semihost_close(handle);
    mp_obj_tuple_t *found = MP_OBJ_TO_PTR(mp_obj_new_tuple(10, NULL));
    for (size_t i = 0; i < found->len; i++) {
        found->items[i] = MP_OBJ_NEW_SMALL_INT(0);
    }
    found->items[0] = MP_OBJ_NEW_SMALL_INT(MP_S_IFREG);
    found->items[6] = mp_obj_new_int(size);
    return MP_OBJ_FROM_PTR(found);
}
static MP_DEFINE_CONST_FUN_OBJ_2(hostfs_stat_obj, hostfs_stat);

static mp_obj_t hostfs_rename(mp_obj_t self, mp_obj_t from, mp_obj_t to) {
    (void)self;
    if (semihost_rename(mp_obj_str_get_str(from), mp_obj_str_get_str(to)) != 0) {
        raise_host_error();
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostfs_rename_obj, hostfs_rename);

static mp_obj_t hostfs_remove(mp_obj_t self, mp_obj_t path) {
    (void)self;
    if (semihost_remove(mp_obj_str_get_str(path)) != 0) {
        raise_host_error();
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(hostfs_remove_obj, hostfs_remove);

static mp_obj_t hostfs_mkdir(mp_obj_t self, mp_obj_t path) {
    (void)self;
    (void)path;
    mp_raise_OSError(MP_EPERM);
}
static MP_DEFINE_CONST_FUN_OBJ_2(hostfs_mkdir_obj, hostfs_mkdir);

static mp_obj_t hostfs_do_mount(mp_obj_t self, mp_obj_t readonly, mp_obj_t mkfs) {
    (void)self;
    (void)readonly;
    (void)mkfs;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostfs_do_mount_obj, hostfs_do_mount);

static const mp_rom_map_elem_t hostfs_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_mount), MP_ROM_PTR(&hostfs_do_mount_obj)},
    {MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&hostfs_open_obj)},
    {MP_ROM_QSTR(MP_QSTR_stat), MP_ROM_PTR(&hostfs_stat_obj)},
    {MP_ROM_QSTR(MP_QSTR_rename), MP_ROM_PTR(&hostfs_rename_obj)},
    {MP_ROM_QSTR(MP_QSTR_remove), MP_ROM_PTR(&hostfs_remove_obj)},
    {MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&hostfs_mkdir_obj)},
};
static MP_DEFINE_CONST_DICT(hostfs_locals, hostfs_locals_table);

static mp_import_stat_t hostfs_import_stat(void *self, const char *path) {
    (void)self;
    (void)path;
    return MP_IMPORT_STAT_NO_EXIST;
}

static const mp_vfs_proto_t hostfs_proto = {.import_stat = hostfs_import_stat};

static MP_DEFINE_CONST_OBJ_TYPE(hostfs_type, MP_QSTR_HostFS, MP_TYPE_FLAG_NONE, protocol,
    &hostfs_proto, locals_dict, &hostfs_locals);

static const mp_obj_base_t hostfs = {&hostfs_type};

void hostfs_mount(void) {
    mp_obj_t arguments[] = {MP_OBJ_FROM_PTR(&hostfs), MP_OBJ_NEW_QSTR(MP_QSTR__slash_)};
    mp_vfs_mount(2, arguments, (mp_map_t *)&mp_const_empty_map);
    MP_STATE_VM(vfs_cur) = MP_STATE_VM(vfs_mount_table);
}
