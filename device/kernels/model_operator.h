/* model_operator: what an operator brings to a pack: its kind, the check of its record and the call of
 * its kernel. Each stands at the end of its kernel's file.
 *
 * A record is a model_op_t, the operator's own struct and, where it has constants, their offsets
 * from the start of the pack. All fields are little-endian and naturally aligned; records are
 * multiples of 4 bytes and are read in place. */
#ifndef MOTEYE_MODEL_OPERATOR_H
#define MOTEYE_MODEL_OPERATOR_H

#include "model.h"
#include "requantize.h"

#define MODEL_OP_CUSTOM 128 // from here on: what a build outside this tree adds

typedef struct {
    uint16_t kind, bytes;    // bytes: of the whole record
    uint32_t input, input_b; // arena offsets; input_b 0 where there is one input
    uint32_t output;         // arena offset
} model_op_t;

// Offsets from the start of the pack; all but `filter` and `shift` are multiples of 4.
typedef struct {
    uint32_t filter, bias, multiplier, shift;
} model_weights_t;

// What a record touches: bytes from each of its offsets on.
typedef struct {
    uint64_t input_bytes, input_b_bytes, output_bytes;
    uint64_t macs;
    bool in_place; // output may be an input of its size itself
} model_footprint_t;

typedef struct {
    uint16_t kind, bytes; // bytes: of a record, model_op_t included
    /* check: whether the record at `op` can be run, all but where its tensors stand. Returns
     * MOTEYE_OK with *out filled, or the reason. */
    int (*check)(const uint8_t *pack, const model_header_t *header, const model_op_t *op,
        model_footprint_t *out);
    /* run: a checked record. */
    int (*run)(const uint8_t *pack, const model_op_t *op, int8_t *arena);
} model_operator_t;

// One `NAME_operator` each, and its kind MODEL_OP_NAME.
#include "operator_kinds.h"

/* model_operators: those of this build, NULL behind the last (model_operators.c: all of them). A
 * build that defines its own list instead links what stands there and nothing else. */
extern const model_operator_t *const model_operators[];

/* model_operator_find: the operator of a kind, or NULL. */
const model_operator_t *model_operator_find(uint16_t kind);

static inline const void *model_op_body(const model_op_t *op) {
    return op + 1;
}

static inline bool model_inside(uint64_t offset, uint64_t bytes, uint64_t first, uint64_t end) {
    return offset >= first && offset <= end && bytes <= end - offset;
}

/* model_constant_ok: whether `bytes` at an offset from the start of the pack are constants. */
static inline bool model_constant_ok(
    const model_header_t *header, uint32_t offset, uint64_t bytes, uint32_t alignment) {
    uint64_t end = (uint64_t)header->data_offset + header->data_bytes;
    return model_inside(offset, bytes, header->data_offset, end) && offset % alignment == 0;
}

static inline channel_quant_t model_quant(const uint8_t *pack, const model_weights_t *weights) {
    channel_quant_t quant = {(const int32_t *)(const void *)(pack + weights->bias),
        (const int32_t *)(const void *)(pack + weights->multiplier),
        (const int8_t *)(pack + weights->shift)};
    return quant;
}

/* model_weights_check: filter, and bias, multiplier and shift of each channel. */
int model_weights_check(const uint8_t *pack, const model_header_t *header,
    const model_weights_t *weights, uint64_t filter_bytes, uint64_t channels);

/* model_check_ops: every record of a pack whose header is checked (model_check.c). Returns
 * MOTEYE_OK, or the reason of the first record that does not fit. */
int model_check_ops(const uint8_t *pack, const model_header_t *header);

#endif
