/* utf8_ok: whether text[0..n) is UTF-8 by RFC 3629: whole characters, none overlong, no surrogates, nothing
 * above U+10FFFF. An empty text is. */
#ifndef MOTEYE_UTF8_H
#define MOTEYE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_ok(const uint8_t *text, size_t n);

#endif
