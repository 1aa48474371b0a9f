/* box_span: which source pixels lie under a target pixel, along one axis. */
#ifndef MOTEYE_BOX_SPAN_H
#define MOTEYE_BOX_SPAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t first, end;
} span_t;

// 65,535 * 65,535 fits 32 bits, so no product here overflows.
static inline span_t span_of(uint32_t i, uint32_t size, uint32_t dst_size) {
    span_t span = {i * size / dst_size, (i + 1) * size / dst_size};
    if (span.end <= span.first) {
        span.end = span.first + 1;
    }
    return span;
}

static inline bool side_ok(uint32_t side) {
    return side >= 1 && side <= 65535;
}

#endif
