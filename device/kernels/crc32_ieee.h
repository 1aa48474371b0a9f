/* crc32_ieee: IEEE CRC-32 (as zlib's) of `size` bytes; reads nothing else. Half a byte a step, a
 * 64-byte table. */
#ifndef MOTEYE_CRC32_IEEE_H
#define MOTEYE_CRC32_IEEE_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_ieee(const void *data, size_t size);

#endif
