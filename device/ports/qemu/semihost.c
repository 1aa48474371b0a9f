#include <string.h>

#include "semihost.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_SEEK = 0x0a,
    SYS_FLEN = 0x0c,
    SYS_REMOVE = 0x0e,
    SYS_RENAME = 0x0f,
    SYS_TIME = 0x11,
    SYS_ERRNO = 0x13,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
    STOPPED_BY_APPLICATION = 0x20026,
};

static int call(int number, const void *arguments) {
    register int r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = arguments;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int semihost_open(const char *path, int mode) {
    uintptr_t arguments[] = {(uintptr_t)path, (uintptr_t)mode, strlen(path)};
    return call(SYS_OPEN, arguments);
}

int semihost_close(int handle) {
    return call(SYS_CLOSE, &handle);
}

int semihost_size(int handle) {
    return call(SYS_FLEN, &handle);
}

int semihost_seek(int handle, uint32_t offset) {
    uintptr_t arguments[] = {(uintptr_t)handle, offset};
    return call(SYS_SEEK, arguments);
}

int semihost_remove(const char *path) {
    uintptr_t arguments[] = {(uintptr_t)path, strlen(path)};
    return call(SYS_REMOVE, arguments);
}

int semihost_rename(const char *from, const char *to) {
    uintptr_t arguments[] = {(uintptr_t)from, strlen(from), (uintptr_t)to, strlen(to)};
    return call(SYS_RENAME, arguments);
}

int semihost_errno(void) {
    return call(SYS_ERRNO, NULL);
}

uint32_t semihost_read(int handle, void *to, uint32_t size) {
    uintptr_t arguments[] = {(uintptr_t)handle, (uintptr_t)to, size};
    return (uint32_t)call(SYS_READ, arguments);
}

uint32_t semihost_write(int handle, const void *from, uint32_t size) {
    uintptr_t arguments[] = {(uintptr_t)handle, (uintptr_t)from, size};
    return (uint32_t)call(SYS_WRITE, arguments);
}

uint32_t semihost_unix_s(void) {
    return (uint32_t)call(SYS_TIME, NULL);
}

int semihost_command_line(char *to, uint32_t size) {
    uintptr_t arguments[] = {(uintptr_t)to, size};
    return call(SYS_GET_CMDLINE, arguments);
}

void semihost_print(const char *text) {
    call(SYS_WRITE0, text);
}

_Noreturn void semihost_exit(int code) {
    uintptr_t arguments[] = {STOPPED_BY_APPLICATION, (uintptr_t)code};
    for (;;) {
        call(SYS_EXIT_EXTENDED, arguments);
    }
}
