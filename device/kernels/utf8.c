#include "utf8.h"

// One character at text[0..n), n >= 1: its length in bytes, or 0 if it is not UTF-8.
static size_t utf8_length(const uint8_t *text, size_t n) {
    uint8_t lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    // Overlong forms, surrogates, and values above U+10FFFF.
    bool wrong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] >= 0xa0) ||
                 (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] >= 0x90);
    return wrong ? 0 : length;
}

bool utf8_ok(const uint8_t *text, size_t n) {
    while (n > 0) {
        size_t length = utf8_length(text, n);
        if (length == 0) {
            return false;
        }
        text += length;
        n -= length;
    }
    return true;
}
