// generated from operators.toml by `make generate`; do not edit
#include "model_operator.h"

const model_operator_t *const model_operators[] = {
    &conv_2d_operator,
    &depthwise_conv_2d_operator,
    &fully_connected_operator,
    &add_operator,
    &pad_operator,
    &mean_operator,
    &average_pool_2d_operator,
    &max_pool_2d_operator,
    &copy_operator,
    &softmax_operator,
    &arithmetic_operator,
    &lookup_operator,
    &resize_operator,
    NULL,
};
