/* window_record: the record of an operator with a window and weights. Private to the runtime. */
#ifndef MOTEYE_WINDOW_RECORD_H
#define MOTEYE_WINDOW_RECORD_H

#include "model_operator.h"
#include "window_2d.h"

typedef struct {
    window_2d_t window;
    model_weights_t weights;
} window_record_t;

_Static_assert(sizeof(window_record_t) == 56, "record layout");

/* window_record_check: what a record whose window is sound touches, and its constants; `terms` are
 * the products of one output. */
static inline int window_record_check(const uint8_t *pack, const model_header_t *header,
    const window_record_t *record, uint64_t terms, model_footprint_t *out) {
    const window_2d_t *w = &record->window;
    out->input_bytes = window_2d_input_bytes(w);
    out->output_bytes = window_2d_output_bytes(w);
    out->macs = terms * out->output_bytes;
    return model_weights_check(pack, header, &record->weights, terms * w->out_c, w->out_c);
}

#endif
