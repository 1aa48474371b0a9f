// generated from protocol/wire.toml by `make generate`; do not edit
#ifndef MOTEYE_WIRE_H
#define MOTEYE_WIRE_H

#define MOTEYE_MAX_ROWS (16384)
#define MOTEYE_MAX_CANARIES (8)
#define MOTEYE_MAX_BOXES (16)
#define MOTEYE_BOX_DIM (64)
#define MOTEYE_CELL_BYTES (69)
#define MOTEYE_BOX_GRID (4096)
#define MOTEYE_SET_MAGIC "MEPS"
#define MOTEYE_SET_FORMAT (1)
#define MOTEYE_SET_BITS (4)
#define MOTEYE_SET_CODEBOOK_FORMAT (2)
#define MOTEYE_SET_CODEBOOK_BITS (8)
#define MOTEYE_SET_MAX_PARTS (32)
#define MOTEYE_SET_PREPROCESSING (1)
#define MOTEYE_SET_HEADER_BYTES (64)
#define MOTEYE_SET_PLANE_WIDTHS {16, 16, 32, 64, 128}
#define MOTEYE_SET_DIMS {16, 32, 64, 128, 256}
#define MOTEYE_SET_NORM_SHIFT (24)
#define MOTEYE_SET_COSINE_SHIFT (12)
#define MOTEYE_SET_MARGIN_TABLE_SHIFT (4)
#define MOTEYE_SET_MARGIN_NONE (-32768)

// probability x 255 of margin_q8 >> 4, index + 128
// clang-format off
#define MOTEYE_PROB_TABLE { \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, \
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, \
    2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, \
    5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 12, \
    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 28, 30, \
    31, 33, 35, 37, 39, 41, 43, 45, 48, 50, 53, 55, 58, 61, 64, 67, \
    70, 73, 77, 80, 84, 87, 91, 94, 98, 102, 106, 110, 114, 118, 122, 126, \
    129, 133, 137, 141, 145, 149, 153, 157, 161, 164, 168, 171, 175, 178, 182, 185, \
    188, 191, 194, 197, 200, 202, 205, 207, 210, 212, 214, 216, 218, 220, 222, 224, \
    225, 227, 229, 230, 231, 233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 243, \
    243, 244, 245, 245, 246, 246, 247, 247, 248, 248, 249, 249, 249, 250, 250, 250, \
    251, 251, 251, 251, 252, 252, 252, 252, 252, 252, 253, 253, 253, 253, 253, 253, \
    253, 253, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, \
    254, 254, 254, 254, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, \
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, \
}
// clang-format on

#endif
