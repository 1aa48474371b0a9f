// generated from operators.toml by `make generate`; do not edit
#ifndef MOTEYE_OPERATOR_KINDS_H
#define MOTEYE_OPERATOR_KINDS_H

enum {
    MODEL_OP_CONV_2D = 1,
    MODEL_OP_DEPTHWISE_CONV_2D = 2,
    MODEL_OP_FULLY_CONNECTED = 3,
    MODEL_OP_ADD = 4,
    MODEL_OP_PAD = 5,
    MODEL_OP_MEAN = 6,
    MODEL_OP_AVERAGE_POOL_2D = 7,
    MODEL_OP_MAX_POOL_2D = 8,
    MODEL_OP_COPY = 9,
    MODEL_OP_SOFTMAX = 10,
    MODEL_OP_ARITHMETIC = 11,
    MODEL_OP_LOOKUP = 12,
    MODEL_OP_RESIZE = 13,
    MODEL_OP_GRN = 64,
    MODEL_OP_ADAPTIVE_POOL = 65,
};

extern const model_operator_t conv_2d_operator;
extern const model_operator_t depthwise_conv_2d_operator;
extern const model_operator_t fully_connected_operator;
extern const model_operator_t add_operator;
extern const model_operator_t pad_operator;
extern const model_operator_t mean_operator;
extern const model_operator_t average_pool_2d_operator;
extern const model_operator_t max_pool_2d_operator;
extern const model_operator_t copy_operator;
extern const model_operator_t softmax_operator;
extern const model_operator_t arithmetic_operator;
extern const model_operator_t lookup_operator;
extern const model_operator_t resize_operator;
extern const model_operator_t grn_operator;
extern const model_operator_t adaptive_pool_operator;

#endif
