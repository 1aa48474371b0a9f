/* encode: a camera frame to an embedding: box_resize to the model's input, u8 - 128, one inference.
 *
 * An encoder is a model with input int8[1][h][w][3], scale 1/128, zero point 0, and output
 * int8[1][1][1][dim], zero point 0; the embedding is the output as it is. An output of
 * ENCODER_DIM + side * side * MOTEYE_CELL_BYTES entries is an embedding of ENCODER_DIM and the cells
 * of a square grid behind it, row by row, in which find_boxes.h finds things. */
#ifndef MOTEYE_ENCODE_H
#define MOTEYE_ENCODE_H

#include "model.h"
#include "wire.h"

#define ENCODER_DIM 256
#define ENCODER_MOST_SIDE 12

/* encoder_side: how many cells a side of the grid has, 0 where the model gives none. */
uint32_t encoder_side(const model_t *model);

/* encoder_open: as model_open, and refuses a model that is no encoder with MOTEYE_ERR_ENCODER. */
int encoder_open(const void *pack, size_t size, model_t *model);

/* encode: one embedding.
 *   model  as encoder_open filled it
 *   frame  uint8[height][width][3], RGB, 1..65,535 a side; must not overlap the arena
 *   arena  model->header.arena_bytes at least, scratch
 *   out    int8[n], n = model->header.output.dims[3]; may overlap anything
 * Returns MOTEYE_OK, MOTEYE_ERR_SHAPE (frame) or MOTEYE_ERR_ARENA with out left as it was.
 * Allocates nothing. */
int encode(const model_t *model, const uint8_t *frame, uint32_t width, uint32_t height,
    int8_t *arena, size_t arena_bytes, int8_t *out);

// uint8[h][w][3]; uint16[h][w] (box_resize_rgb565.h); uint8[h][w]
typedef enum { FRAME_RGB888, FRAME_RGB565, FRAME_GREY } frame_format_t;

/* encode_tapped: as encode, of a frame of any format, with a copy of one operator's output; `tap`
 * (model_tap) may be NULL. */
int encode_tapped(const model_t *model, const void *frame, frame_format_t format, uint32_t width,
    uint32_t height, int8_t *arena, size_t arena_bytes, const model_tap_t *tap, int8_t *out);

/* encode_centre: bytes u to the int8 u - 128, in place. */
void encode_centre(uint8_t *bytes, size_t count);

#endif
