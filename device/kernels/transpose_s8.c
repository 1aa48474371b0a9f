#include <stddef.h>

#include "transpose_s8.h"
#include "status.h"

int transpose_s8_check(const transpose_t *s) {
    uint32_t seen = 0;
    for (int i = 0; i < 4; i++) {
        if (s->dims[i] == 0 || s->axes[i] > 3) {
            return MOTEYE_ERR_SHAPE;
        }
        seen |= 1u << s->axes[i];
    }
    return seen == 15 ? MOTEYE_OK : MOTEYE_ERR_SHAPE;
}

int transpose_s8(const transpose_t *s, const int8_t *input, int8_t *output) {
    int status = transpose_s8_check(s);
    if (status != MOTEYE_OK) {
        return status;
    }
    size_t stride[4] = {(size_t)s->dims[1] * s->dims[2] * s->dims[3],
        (size_t)s->dims[2] * s->dims[3], s->dims[3], 1};
    size_t size[4], step[4];
    for (int i = 0; i < 4; i++) {
        size[i] = s->dims[s->axes[i]];
        step[i] = stride[s->axes[i]];
    }
    for (size_t i = 0; i < size[0]; i++) {
        for (size_t j = 0; j < size[1]; j++) {
            for (size_t k = 0; k < size[2]; k++) {
                const int8_t *from = input + i * step[0] + j * step[1] + k * step[2];
                for (size_t l = 0; l < size[3]; l++) {
                    *output++ = from[l * step[3]];
                }
            }
        }
    }
    return MOTEYE_OK;
}
