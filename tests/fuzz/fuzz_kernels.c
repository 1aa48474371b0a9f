// The libFuzzer target for model packs (-DFUZZ_PACK), prototype sets (-DFUZZ_SET) or caption packs
// (-DFUZZ_CAPTIONS).
//
// A checksum would stop nearly every mutation, so the mutator writes size and CRC anew, as an
// attacker would; one mutation in 16 stays as it is, so that the checks before are tried, too.
// fuzz.py builds and runs it.

#include <stdlib.h>
#include <string.h>

#include "caption_pack.h"
#include "crc32_ieee.h"
#include "model.h"
#include "prototype_set.h"
#include "trials.h"

#define MAX_ARENA (1u << 20)
#define MAX_MACS 500000u

#ifdef FUZZ_PACK
typedef model_header_t header_t;
#define CRC_FROM 12
#elif defined(FUZZ_CAPTIONS)
typedef caption_header_t header_t;
#define CRC_FROM 12
#else
typedef prototype_set_header_t header_t;
#define CRC_FROM MOTEYE_SET_HEADER_BYTES
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // A copy of exactly this size: reading one byte beyond it is found.
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
#ifdef FUZZ_PACK
    try_pack(copy, size, MAX_ARENA, MAX_MACS);
#elif defined(FUZZ_CAPTIONS)
    try_captions(copy, size, MAX_MACS);
#else
    try_set(copy, size);
#endif
    free(copy);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (size < sizeof(header_t) || seed % 16 == 0) {
        return size;
    }
    header_t header;
    memcpy(&header, data, sizeof(header));
    header.size_bytes = (uint32_t)size;
    memcpy(data, &header, sizeof(header));
    header.crc32 = crc32_ieee(data + CRC_FROM, size - CRC_FROM);
    memcpy(data, &header, sizeof(header));
    return size;
}
