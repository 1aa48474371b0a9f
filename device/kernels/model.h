/* model: a compiled model (.mpk, FORMAT.md) opened in place and run in the caller's arena.
 *
 * model_open reads every offset, size and quantisation constant of the pack once and refuses what
 * does not fit, so that model_run never reads or writes outside pack and arena, whatever the bytes
 * are. The CRC finds accidents; the checks behind it find malice. The pack must stay where it is
 * and unchanged for as long as the model is used: weights are read from it in place (flash, or a
 * buffer). */
#ifndef MOTEYE_MODEL_H
#define MOTEYE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_FORMAT_VERSION 2
#define MODEL_HEADER_BYTES 96

typedef struct {
    uint32_t offset;     // of the first byte, from the arena's start
    uint16_t dims[4];    // leading dims of a lower rank are 1
    uint32_t scale_bits; // IEEE float32, as bits: the runtime itself computes no float
    int32_t zero_point;
} model_tensor_t;

// The first 96 bytes of a pack.
typedef struct {
    uint8_t magic[4]; // "MEPK"
    uint16_t version, header_bytes;
    uint32_t crc32; // of bytes [12, size_bytes)
    uint32_t size_bytes;
    uint32_t op_count;
    uint32_t ops_offset, ops_bytes;   // op records, one after the other
    uint32_t data_offset, data_bytes; // weights, biases, multipliers, shifts
    uint32_t arena_bytes;
    uint32_t macs;
    model_tensor_t input, output;
    uint8_t reserved[12]; // 0
} model_header_t;

typedef struct {
    const uint8_t *pack;
    model_header_t header;
} model_t;

/* model_open: check a pack and fill `model`.
 *   pack  aligned to 4 bytes, `size` bytes long, exactly one pack
 * Returns MOTEYE_OK, or a reason (status.h) with *model left as it was. Allocates nothing, writes
 * nothing else. */
int model_open(const void *pack, size_t size, model_t *model);

/* model_run: one inference.
 *   model  as model_open filled it        arena  header.arena_bytes at least; any alignment
 * Before: the input stands at arena + header.input.offset, int8, dims[0]*...*dims[3] bytes. After:
 * the output at arena + header.output.offset; the rest of the arena, the input too, is scratch.
 * Returns MOTEYE_OK, or MOTEYE_ERR_ARENA with the arena left as it was. Allocates nothing. */
int model_run(const model_t *model, int8_t *arena, size_t arena_bytes);

// The output of one operator, to be copied out while the model runs.
typedef struct {
    uint32_t op; // its number
    uint32_t bytes;
    int8_t *out; // [bytes]
} model_tap_t;

/* model_tap: the tap of the operator that `before_end` others follow.
 *   bytes  what its output must have      out  where the copy goes
 * Returns MOTEYE_OK, or MOTEYE_ERR_SHAPE with *tap left as it was. */
int model_tap(
    const model_t *model, uint32_t before_end, uint32_t bytes, int8_t *out, model_tap_t *tap);

/* model_run_tapped: as model_run; `tap` may be NULL. */
int model_run_tapped(
    const model_t *model, int8_t *arena, size_t arena_bytes, const model_tap_t *tap);

/* model_tensor_bytes: elements of a tensor, which are bytes. */
static inline uint64_t model_tensor_bytes(const model_tensor_t *tensor) {
    return (uint64_t)tensor->dims[0] * tensor->dims[1] *
           ((uint64_t)tensor->dims[2] * tensor->dims[3]);
}

#endif
