"""Kinds of records, and what runs them."""

# generated from operators.toml by `make generate`; do not edit
CONV_2D = 1
DEPTHWISE_CONV_2D = 2
FULLY_CONNECTED = 3
ADD = 4
PAD = 5
MEAN = 6
AVERAGE_POOL_2D = 7
MAX_POOL_2D = 8
COPY = 9
SOFTMAX = 10
ARITHMETIC = 11
LOOKUP = 12
RESIZE = 13
GRN = 64
ADAPTIVE_POOL = 65

NAMES = {
    1: "conv_2d",
    2: "depthwise_conv_2d",
    3: "fully_connected",
    4: "add",
    5: "pad",
    6: "mean",
    7: "average_pool_2d",
    8: "max_pool_2d",
    9: "copy",
    10: "softmax",
    11: "arithmetic",
    12: "lookup",
    13: "resize",
    64: "grn",
    65: "adaptive_pool",
}
