/* trials: what the damage tests and the fuzzers do with one file of any bytes. Each opens it from a
 * buffer of exactly its size and, where it opens, runs all that it is good for. */
#ifndef MOTEYE_TRIALS_H
#define MOTEYE_TRIALS_H

#include <stddef.h>
#include <stdint.h>

/* try_pack: a model pack. One that asks for more than `max_arena` bytes or `max_macs` products is
 * opened but not run. Returns a status (status.h). */
int try_pack(const uint8_t *data, size_t size, uint32_t max_arena, uint32_t max_macs);

/* try_set: a prototype set, at each dimension that it has, for the encoder "encoder!". Returns a
 * status. */
int try_set(const uint8_t *data, size_t size);

/* try_captions: a caption pack. One whose captions would take more than `max_macs` products is opened but
 * says nothing. Returns a status. */
int try_captions(const uint8_t *data, size_t size, uint32_t max_macs);

#endif
