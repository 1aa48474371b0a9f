// The emulator's host through Arm semihosting: files, time, the command line, the exit code.
#ifndef MOTEYE_SEMIHOST_H
#define MOTEYE_SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

// Binary modes of fopen: rb, r+b, wb, ab.
enum { SEMIHOST_READ = 1, SEMIHOST_UPDATE = 3, SEMIHOST_WRITE = 5, SEMIHOST_APPEND = 9 };

// Handles and sizes; -1 where the host refuses, semihost_errno() tells why.
int semihost_open(const char *path, int mode);
int semihost_close(int handle);
int semihost_size(int handle);
int semihost_seek(int handle, uint32_t offset);
int semihost_remove(const char *path);
int semihost_rename(const char *from, const char *to);
int semihost_errno(void);
// Bytes that were not moved; `size` at the end of the file.
uint32_t semihost_read(int handle, void *to, uint32_t size);
uint32_t semihost_write(int handle, const void *from, uint32_t size);

uint32_t semihost_unix_s(void);
int semihost_command_line(char *to, uint32_t size);
void semihost_print(const char *text);
_Noreturn void semihost_exit(int code);

#endif
