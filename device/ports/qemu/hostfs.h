#ifndef MOTEYE_HOSTFS_H
#define MOTEYE_HOSTFS_H

// The host's files as the root of MicroPython's file system.
void hostfs_mount(void);

#endif
