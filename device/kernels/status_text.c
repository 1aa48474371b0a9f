#include "status.h"

const char *status_text(int status) {
    switch (status) {
        case MOTEYE_OK: return "ok";
        case MOTEYE_ERR_SHAPE: return "bad shape";
        case MOTEYE_ERR_QUANT: return "bad quantisation";
        case MOTEYE_ERR_TRUNCATED: return "wrong size";
        case MOTEYE_ERR_MAGIC: return "bad magic";
        case MOTEYE_ERR_VERSION: return "unknown version";
        case MOTEYE_ERR_CRC: return "crc mismatch";
        case MOTEYE_ERR_ALIGN: return "not aligned";
        case MOTEYE_ERR_HEADER: return "bad header";
        case MOTEYE_ERR_OP: return "bad operator";
        case MOTEYE_ERR_WEIGHTS: return "weights out of bounds";
        case MOTEYE_ERR_ARENA: return "arena out of bounds";
        case MOTEYE_ERR_OVERLAP: return "tensors overlap";
        case MOTEYE_ERR_MACS: return "wrong count of products";
        case MOTEYE_ERR_ENCODER: return "not an encoder";
        case MOTEYE_ERR_NAMES: return "bad names";
        case MOTEYE_ERR_SPACE: return "other encoder";
        case MOTEYE_ERR_DIM: return "no such dim";
        case MOTEYE_ERR_WORDS: return "words not in UTF-8";
        default: return "unknown error";
    }
}
