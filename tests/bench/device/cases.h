/* cases: the lists that check_*.c run: each case begins with four words, what follows is padded to
 * 16 bytes, and a first word of zero ends the list. Python makes them (cases.py). */
#ifndef MOTEYE_BENCH_CASES_H
#define MOTEYE_BENCH_CASES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t padded(uint32_t bytes) {
    return (bytes + 15) & ~15u;
}

/* case_words: the words of the case at *at, which moves behind them; false at the list's end. */
static inline bool case_words(const uint8_t **at, uint32_t words[4]) {
    memcpy(words, *at, 4 * sizeof(words[0]));
    *at += 4 * sizeof(words[0]);
    return words[0] != 0;
}

#endif
