/* status: what every kernel returns. Zero is success, each refusal has its own negative number.
 * A function that returns an error has left its outputs as they were. */
#ifndef MOTEYE_STATUS_H
#define MOTEYE_STATUS_H

enum {
    MOTEYE_OK = 0,
    MOTEYE_ERR_SHAPE = -1,     // a dimension is zero, too large, or disagrees with another
    MOTEYE_ERR_QUANT = -2,     // zero point, activation limit, multiplier or shift out of range
    MOTEYE_ERR_TRUNCATED = -3, // fewer or more bytes than the header announces
    MOTEYE_ERR_MAGIC = -4,     // not a file of this kind
    MOTEYE_ERR_VERSION = -5,   // a format version this build does not read
    MOTEYE_ERR_CRC = -6,       // bytes changed after the file was written
    MOTEYE_ERR_ALIGN = -7,     // buffer or section not aligned to 4 bytes
    MOTEYE_ERR_HEADER = -8,    // header fields contradict each other
    MOTEYE_ERR_OP = -9,        // unknown operator, or a record of the wrong length
    MOTEYE_ERR_WEIGHTS = -10,  // an operator's constants reach outside the data section
    MOTEYE_ERR_ARENA = -11,   // a tensor reaches outside the arena, or the arena given is too small
    MOTEYE_ERR_OVERLAP = -12, // an operator would overwrite its own input
    MOTEYE_ERR_MACS = -13,    // the operators do not add up to the header's count of products
    MOTEYE_ERR_ENCODER = -14, // a sound model, but not an image encoder (see encode.h)
    MOTEYE_ERR_NAMES = -15,   // names, or a caption pack's words, do not fill their section
    MOTEYE_ERR_SPACE = -16,   // a prototype set of another embedding space (encoder hash)
    MOTEYE_ERR_DIM = -17,     // not a dimension that the set holds
    MOTEYE_ERR_WORDS = -18,   // a word of a caption pack is not UTF-8
};

/* status_text: the reason in words, for a message; never NULL, whatever the number. */
const char *status_text(int status);

#endif
