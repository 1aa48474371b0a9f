"""Small int8 `.tflite` models made through the schema's object API: the tests need no model file.

Scales are chosen from what the accumulators are likely to be, so that outputs spread over int8
instead of saturating.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OP = schema.BuiltinOperator
ACTIVATION = schema.ActivationFunctionType
PADDING = schema.Padding
# The first version of each operator that knows int8 (and per-channel filters).
_VERSIONS = {
    OP.RESHAPE: 1,
    OP.CONV_2D: 3,
    OP.DEPTHWISE_CONV_2D: 3,
    OP.FULLY_CONNECTED: 4,
    OP.HARD_SWISH: 1,
    OP.PACK: 1,
    OP.SPLIT_V: 1,
    OP.UNPACK: 1,
}
_TYPES = {
    np.int8: schema.TensorType.INT8,
    np.int32: schema.TensorType.INT32,
    np.float32: schema.TensorType.FLOAT32,
}


@dataclass
class NetBuilder:
    """Adds tensors and operators; each operator returns the index of its output tensor.

    `unsigned`: every quantised tensor is uint8. Values and zero points are given and returned as
    int8 all the same, 128 less.
    """

    rng: np.random.Generator
    unsigned: bool = False
    model: Any = field(default_factory=schema.ModelT)

    def __post_init__(self) -> None:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        self.graph = graph
        self.model.version = 3
        self.model.operatorCodes = []
        self.model.subgraphs = [graph]
        self.model.buffers = [schema.BufferT()]

    # ---- tensors

    def tensor(self, shape, dtype=np.int8, scale=None, zero_point=0, axis=0, data=None) -> int:
        raw = schema.TensorT()
        raw.name = f"t{len(self.graph.tensors)}".encode()
        raw.shape = np.array(shape, np.int32)
        raw.type = _TYPES[dtype]
        if self.unsigned and dtype is np.int8:
            raw.type, zero_point = schema.TensorType.UINT8, zero_point + 128
            data = None if data is None else np.asarray(data, np.int8) ^ np.int8(-128)
        if scale is not None:
            raw.quantization = schema.QuantizationParametersT()
            raw.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            raw.quantization.zeroPoint = np.full(raw.quantization.scale.shape, zero_point, np.int64)
            raw.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            raw.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(raw)
        return len(self.graph.tensors) - 1

    def input(self, shape, scale=None, zero_point=None) -> int:
        index = self.tensor(shape, scale=scale or self._scale(), zero_point=self._zero(zero_point))
        self.graph.inputs = [index]
        return index

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(side) for side in self.graph.tensors[index].shape)

    def scale(self, index: int) -> float:
        return float(self.graph.tensors[index].quantization.scale[0])

    def zero_point(self, index: int) -> int:
        value = int(self.graph.tensors[index].quantization.zeroPoint[0])
        return value - 128 if self.unsigned else value

    def _scale(self) -> float:
        return float(np.float32(math.exp(self.rng.uniform(-5, 0))))

    def _zero(self, given: int | None = None) -> int:
        if given is not None:
            return given
        if self.rng.random() < 0.2:
            return int(self.rng.choice([-128, 127]))
        return int(self.rng.integers(-128, 128))

    # ---- operators

    def op(self, code: int, inputs: list[int], output, options_type: int = 0, options: Any = None):  # type: ignore[no-untyped-def]
        """`output`: one index, or a list of them."""
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = (
            code,
            min(code, 127),
            _VERSIONS.get(code, 2),
        )
        self.model.operatorCodes.append(entry)
        raw = schema.OperatorT()
        raw.opcodeIndex = len(self.model.operatorCodes) - 1
        outputs = output if isinstance(output, list) else [output]
        raw.inputs, raw.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        raw.builtinOptionsType, raw.builtinOptions = options_type, options
        self.graph.operators.append(raw)
        return output

    def _weights(self, source: int, shape, axis: int, terms: int, per_channel: bool, bias: bool):
        """(filter index, bias index if there is one, output scale) of an operator with weights."""
        channels = shape[axis]
        per_channel = per_channel and not self.unsigned
        count = channels if per_channel else 1
        scales = np.exp(self.rng.uniform(-6, -3, count)).astype(np.float32)
        if per_channel and self.rng.random() < 0.2:
            scales *= self.rng.choice(np.float32([1, -1]), count)
        data = self.rng.integers(-127, 128, shape)
        zero = int(self.rng.integers(-128, 128)) if self.unsigned else 0
        weights = self.tensor(shape, scale=scales, zero_point=zero, axis=axis, data=data)
        spread = 74 * 74 * math.sqrt(terms)
        bias_index: list[int] = []
        if bias:
            values = self.rng.normal(0, spread, channels).astype(np.int32)
            bias_index = [
                self.tensor([channels], np.int32, scales * self.scale(source), data=values)
            ]
        out_scale = (
            self.scale(source) * float(np.abs(scales).mean()) * spread / self.rng.uniform(15, 60)
        )
        return weights, bias_index, out_scale

    def _along(self, size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
        if padding == PADDING.SAME:
            return -(-size // stride)
        return (size - (kernel - 1) * dilation - 1) // stride + 1

    def conv(
        self,
        source,
        out_c,
        kernel=(1, 1),
        stride=(1, 1),
        dilation=(1, 1),
        padding=PADDING.SAME,
        activation=ACTIVATION.NONE,
        per_channel=True,
        bias=True,
        zero_point=None,
    ) -> int:
        _, h, w, c = self.shape(source)
        shape = (out_c, *kernel, c)
        weights, bias_index, scale = self._weights(
            source, shape, 0, math.prod(shape[1:]), per_channel, bias
        )
        out_h = self._along(h, kernel[0], stride[0], dilation[0], padding)
        out_w = self._along(w, kernel[1], stride[1], dilation[1], padding)
        out = self.tensor((1, out_h, out_w, out_c), scale=scale, zero_point=self._zero(zero_point))
        options = schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        return self.op(
            OP.CONV_2D,
            [source, weights, *bias_index],
            out,
            schema.BuiltinOptions.Conv2DOptions,
            options,
        )

    def depthwise(
        self,
        source,
        multiplier=1,
        kernel=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding=PADDING.SAME,
        activation=ACTIVATION.NONE,
        per_channel=True,
        bias=True,
    ) -> int:
        _, h, w, c = self.shape(source)
        shape = (1, *kernel, c * multiplier)
        weights, bias_index, scale = self._weights(
            source, shape, 3, math.prod(kernel), per_channel, bias
        )
        out_h = self._along(h, kernel[0], stride[0], dilation[0], padding)
        out_w = self._along(w, kernel[1], stride[1], dilation[1], padding)
        out = self.tensor((1, out_h, out_w, c * multiplier), scale=scale, zero_point=self._zero())
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.depthMultiplier = multiplier
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        kind = schema.BuiltinOptions.DepthwiseConv2DOptions
        return self.op(OP.DEPTHWISE_CONV_2D, [source, weights, *bias_index], out, kind, options)

    def fully_connected(
        self,
        source,
        out_n,
        activation=ACTIVATION.NONE,
        per_channel=False,
        bias=True,
        zero_point=None,
    ) -> int:
        in_n = self.shape(source)[-1]
        rows = math.prod(self.shape(source)) // in_n
        weights, bias_index, scale = self._weights(
            source, (out_n, in_n), 0, in_n, per_channel, bias
        )
        out = self.tensor((rows, out_n), scale=scale, zero_point=self._zero(zero_point))
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        kind = schema.BuiltinOptions.FullyConnectedOptions
        return self.op(OP.FULLY_CONNECTED, [source, weights, *bias_index], out, kind, options)

    def add(self, a: int, b: int, activation=ACTIVATION.NONE) -> int:
        scale = max(self.scale(a), self.scale(b)) * self.rng.uniform(0.6, 2)
        out = self.tensor(self.shape(a), scale=scale, zero_point=self._zero())
        options = schema.AddOptionsT()
        options.fusedActivationFunction = activation
        return self.op(OP.ADD, [a, b], out, schema.BuiltinOptions.AddOptions, options)

    def _like(self, source: int, shape) -> int:
        return self.tensor(shape, scale=self.scale(source), zero_point=self.zero_point(source))

    def pad(self, source: int, amounts) -> int:
        shape = [side + sum(pair) for side, pair in zip(self.shape(source), amounts, strict=True)]
        constant = self.tensor((4, 2), np.int32, data=np.array(amounts))
        kind = schema.BuiltinOptions.PadOptions
        return self.op(
            OP.PAD, [source, constant], self._like(source, shape), kind, schema.PadOptionsT()
        )

    def pool(
        self, source: int, code: int, kernel, stride, padding, activation=ACTIVATION.NONE
    ) -> int:
        _, h, w, c = self.shape(source)
        out_h = self._along(h, kernel[0], stride[0], 1, padding)
        out_w = self._along(w, kernel[1], stride[1], 1, padding)
        options = schema.Pool2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.filterHeight, options.filterWidth = kernel
        options.strideH, options.strideW = stride
        out = self._like(source, (1, out_h, out_w, c))
        return self.op(code, [source], out, schema.BuiltinOptions.Pool2DOptions, options)

    def mean(self, source: int, axes, keep: bool, same_scale: bool = False) -> int:
        shape = [
            side if i not in axes else 1
            for i, side in enumerate(self.shape(source))
            if keep or i not in axes
        ]
        count = math.prod(self.shape(source)[axis] for axis in axes)
        scale, zero_point = self.scale(source), self.zero_point(source)
        if not same_scale:
            scale, zero_point = scale * self.rng.uniform(1, 3) / math.sqrt(count), self._zero()
        constant = self.tensor((len(axes),), np.int32, data=np.array(axes))
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        out = self.tensor(shape, scale=scale, zero_point=zero_point)
        return self.op(
            OP.MEAN, [source, constant], out, schema.BuiltinOptions.ReducerOptions, options
        )

    def transpose(self, source: int, axes) -> int:
        shape = [self.shape(source)[axis] for axis in axes]
        constant = self.tensor((len(axes),), np.int32, data=np.array(axes))
        kind = schema.BuiltinOptions.TransposeOptions
        return self.op(
            OP.TRANSPOSE,
            [source, constant],
            self._like(source, shape),
            kind,
            schema.TransposeOptionsT(),
        )

    def reshape(self, source: int, shape) -> int:
        constant = self.tensor((len(shape),), np.int32, data=np.array(shape))
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        kind = schema.BuiltinOptions.ReshapeOptions
        return self.op(OP.RESHAPE, [source, constant], self._like(source, shape), kind, options)

    def relu(self, source: int, code: int) -> int:
        return self.op(
            code, [source], self._like(source, self.shape(source)), schema.BuiltinOptions.NONE, None
        )

    def softmax(self, source: int, beta: float = 1.0) -> int:
        out = self.tensor(self.shape(source), scale=1 / 256, zero_point=-128)
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        return self.op(OP.SOFTMAX, [source], out, schema.BuiltinOptions.SoftmaxOptions, options)

    def finish(self, output: int) -> bytes:
        self.graph.inputs = np.array(self.graph.inputs, np.int32)
        self.graph.outputs = np.array([output], np.int32)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
