/* add_s8_x86: the first sums of add_s8 (its header is the contract) with AVX2, eight at a time; returns
 * how many, 0 without AVX2. */
#ifndef MOTEYE_ADD_S8_X86_H
#define MOTEYE_ADD_S8_X86_H

#include <stddef.h>

#include "../add_s8.h"
#include "target_x86.h"

#if MOTEYE_X86
size_t add_s8_x86(const add_t *shape, const int8_t *a, const int8_t *b, int8_t *output);
#endif

#endif
