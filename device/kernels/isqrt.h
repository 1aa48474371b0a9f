/* isqrt: floor of the square root, bit by bit, without division. */
#ifndef MOTEYE_ISQRT_H
#define MOTEYE_ISQRT_H

#include <stdint.h>

static inline uint32_t isqrt(uint32_t x) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 30; bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

// The same of 64 bits.
static inline uint32_t isqrt_64(uint64_t x) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

#endif
