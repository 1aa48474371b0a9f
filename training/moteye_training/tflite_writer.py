"""A small writer of int8 `.tflite` graphs: tensors, quantisation, the operators we need.

Weights are symmetric per output channel, activations per tensor, biases int32 with the product of
the scales, as the TFLite int8 specification asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

F32 = NDArray[np.float32]
OP = schema.BuiltinOperator
ACT = schema.ActivationFunctionType


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph: its index and, for activations, shape and quantisation."""

    index: int
    shape: tuple[int, ...]
    scale: float = 0.0
    zero: int = 0


def range_to_quantisation(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of int8 for values in [low, high], with 0 exactly representable."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


class GraphWriter:
    """Builds one subgraph; operators are appended in execution order."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "moteye encoder"
        empty = schema.BufferT()
        self.model.buffers = [empty]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    @classmethod
    def extend(cls, content: bytes, added: str) -> GraphWriter:
        """A writer that goes on behind a file's graph, without what was added to it earlier.

        `added` is the beginning of the names of tensors that such an addition made.
        """
        writer = cls()
        writer.model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
        writer.graph = graph = writer.model.subgraphs[0]
        writer.model.signatureDefs = []
        names = [tensor.name.decode() for tensor in graph.tensors]
        end = next((at for at, name in enumerate(names) if name.startswith(added)), len(names))
        graph.tensors = graph.tensors[:end]
        graph.operators = [op for op in graph.operators if max(op.outputs) < end]
        used = 1 + max(tensor.buffer for tensor in graph.tensors)
        writer.model.buffers = writer.model.buffers[:used]
        return writer

    def named(self, name: str) -> Tensor:
        """An activation that is there already. Raises ValueError where there is none."""
        for index, tensor in enumerate(self.graph.tensors):
            if tensor.name in (name, name.encode()):
                q = tensor.quantization
                shape = tuple(int(n) for n in tensor.shape)
                return Tensor(index, shape, float(q.scale[0]), int(q.zeroPoint[0]))
        raise ValueError(f"no tensor {name} in this encoder: another backbone")

    def _tensor(self, name: str, shape: Any, kind: int, quantisation: Any, data: Any = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(n) for n in shape], kind
        tensor.quantization = quantisation
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    @staticmethod
    def _quantisation(scales: Any, zeros: Any, axis: int = 0) -> Any:
        q = schema.QuantizationParametersT()
        q.scale = np.asarray(scales, np.float32).reshape(-1).tolist()
        q.zeroPoint = np.asarray(zeros, np.int64).reshape(-1).tolist()
        q.quantizedDimension = axis
        return q

    def activation(self, name: str, shape: tuple[int, ...], scale: float, zero: int) -> Tensor:
        """A new int8 activation."""
        scale = float(np.float32(scale))
        q = self._quantisation([scale], [zero])
        return Tensor(
            self._tensor(name, shape, schema.TensorType.INT8, q), tuple(shape), scale, zero
        )

    def weights(self, name: str, value: F32, axis: int, input_scale: float) -> tuple[int, F32]:
        """int8 weights with a scale per slice of `axis`; returns index and bias scales."""
        others = tuple(i for i in range(value.ndim) if i != axis)
        scales = np.maximum(np.abs(value).max(others), 1e-8).astype(np.float32) / np.float32(127)
        shape = [1] * value.ndim
        shape[axis] = -1
        integers = np.clip(np.rint(value / scales.reshape(shape)), -127, 127).astype(np.int8)
        q = self._quantisation(scales, np.zeros(len(scales)), axis)
        index = self._tensor(name, value.shape, schema.TensorType.INT8, q, integers)
        return index, (scales * np.float32(input_scale)).astype(np.float32)

    def bias(self, name: str, value: F32, scales: F32) -> int:
        """int32 bias at the product of input and weight scale."""
        integers = np.clip(np.rint(value.astype(np.float64) / scales), -(2**31), 2**31 - 1)
        q = self._quantisation(scales, np.zeros(len(scales)))
        return self._tensor(name, value.shape, schema.TensorType.INT32, q, integers.astype("<i4"))

    def constant(self, name: str, value: NDArray[np.int32]) -> int:
        """An int32 constant without quantisation."""
        return self._tensor(name, value.shape, schema.TensorType.INT32, None, value)

    def operator(
        self, code: int, inputs: list[int], output: Tensor, kind: int, options: Any, version: int
    ) -> None:
        """Append one operator."""
        codes = self.model.operatorCodes
        at = next((i for i, c in enumerate(codes) if c.builtinCode == code), None)
        if at is None:
            entry = schema.OperatorCodeT()
            entry.builtinCode = code
            entry.deprecatedBuiltinCode = min(code, 127)
            entry.version = version
            codes.append(entry)
            at = len(codes) - 1
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = at, inputs, [output.index]
        op.builtinOptionsType, op.builtinOptions = kind, options
        self.graph.operators.append(op)

    def finish(self, inputs: list[Tensor], outputs: list[Tensor]) -> bytes:
        """The flatbuffer."""
        self.graph.inputs = [t.index for t in inputs]
        self.graph.outputs = [t.index for t in outputs]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def conv(
    graph: GraphWriter, name: str, x: Tensor, weight: F32, bias: F32, stride: int, relu6: bool,
    scale: float, zero: int,
) -> Tensor:  # fmt: skip
    """CONV_2D or, for weight [1, k, k, C], DEPTHWISE_CONV_2D; padding SAME.

    weight float[C_out, k, k, C_in] (or [1, k, k, C]), bias float[C_out].
    """
    depthwise = weight.shape[0] == 1 and weight.shape[3] == x.shape[3] and x.shape[3] > 1
    index, bias_scales = graph.weights(name + "/weight", weight, 3 if depthwise else 0, x.scale)
    at = graph.bias(name + "/bias", bias, bias_scales)
    side = -(-x.shape[1] // stride)
    out = graph.activation(name, (1, side, side, len(bias)), scale, zero)
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = ACT.RELU6 if relu6 else ACT.NONE
    if depthwise:
        options.depthMultiplier = 1
        code, kind = OP.DEPTHWISE_CONV_2D, schema.BuiltinOptions.DepthwiseConv2DOptions
    else:
        code, kind = OP.CONV_2D, schema.BuiltinOptions.Conv2DOptions
    graph.operator(code, [x.index, index, at], out, kind, options, 3)
    return out


def add(
    graph: GraphWriter, name: str, a: Tensor, b: Tensor, scale: float, zero: int,
    relu6: bool = False,
) -> Tensor:  # fmt: skip
    """ADD of two activations of one shape."""
    out = graph.activation(name, a.shape, scale, zero)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACT.RELU6 if relu6 else ACT.NONE
    kind = schema.BuiltinOptions.AddOptions
    graph.operator(OP.ADD, [a.index, b.index], out, kind, options, 2)
    return out


def max_pool(graph: GraphWriter, name: str, x: Tensor) -> Tensor:
    """MAX_POOL_2D of 2 x 2 at stride 2: [1, H, W, C] -> [1, H / 2, W / 2, C]."""
    shape = (1, x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
    out = graph.activation(name, shape, x.scale, x.zero)
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.filterHeight = options.filterWidth = 2
    options.fusedActivationFunction = ACT.NONE
    kind = schema.BuiltinOptions.Pool2DOptions
    graph.operator(OP.MAX_POOL_2D, [x.index], out, kind, options, 2)
    return out


def mean(graph: GraphWriter, name: str, x: Tensor, scale: float, zero: int) -> Tensor:
    """MEAN over height and width: [1, H, W, C] -> [1, C]."""
    axes = graph.constant(name + "/axes", np.array([1, 2], np.int32))
    out = graph.activation(name, (1, x.shape[3]), scale, zero)
    options = schema.ReducerOptionsT()
    options.keepDims = False
    kind = schema.BuiltinOptions.ReducerOptions
    graph.operator(OP.MEAN, [x.index, axes], out, kind, options, 2)
    return out


def fully_connected(
    graph: GraphWriter, name: str, x: Tensor, weight: F32, bias: F32, scale: float, zero: int
) -> Tensor:
    """FULLY_CONNECTED with a scale per output: x [1, C], weight float[D, C] -> [1, D]."""
    index, bias_scales = graph.weights(name + "/weight", weight, 0, x.scale)
    at = graph.bias(name + "/bias", bias, bias_scales)
    out = graph.activation(name, (1, len(bias)), scale, zero)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACT.NONE
    options.keepNumDims = False
    kind = schema.BuiltinOptions.FullyConnectedOptions
    graph.operator(OP.FULLY_CONNECTED, [x.index, index, at], out, kind, options, 9)
    return out


def enlarge(graph: GraphWriter, name: str, x: Tensor, factor: int) -> Tensor:
    """RESIZE_NEAREST_NEIGHBOR: each cell of [1, H, W, C] becomes factor x factor."""
    shape = (1, x.shape[1] * factor, x.shape[2] * factor, x.shape[3])
    size = graph.constant(name + "/size", np.array(shape[1:3], np.int32))
    out = graph.activation(name, shape, x.scale, x.zero)
    options = schema.ResizeNearestNeighborOptionsT()
    options.alignCorners = options.halfPixelCenters = False
    kind = schema.BuiltinOptions.ResizeNearestNeighborOptions
    graph.operator(OP.RESIZE_NEAREST_NEIGHBOR, [x.index, size], out, kind, options, 2)
    return out


def flatten(graph: GraphWriter, name: str, x: Tensor) -> Tensor:
    """RESHAPE to [1, N]."""
    out = graph.activation(name, (1, int(np.prod(x.shape))), x.scale, x.zero)
    options = schema.ReshapeOptionsT()
    options.newShape = list(out.shape)
    shape = graph.constant(name + "/shape", np.array(out.shape, np.int32))
    kind = schema.BuiltinOptions.ReshapeOptions
    graph.operator(OP.RESHAPE, [x.index, shape], out, kind, options, 1)
    return out


def concatenate(graph: GraphWriter, name: str, a: Tensor, b: Tensor) -> Tensor:
    """CONCATENATION of [1, N] and [1, M], which must be of one scale."""
    if (a.scale, a.zero) != (b.scale, b.zero):
        raise ValueError(f"{name}: {a} and {b} have other scales")
    out = graph.activation(name, (1, a.shape[1] + b.shape[1]), a.scale, a.zero)
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    options.fusedActivationFunction = ACT.NONE
    kind = schema.BuiltinOptions.ConcatenationOptions
    graph.operator(OP.CONCATENATION, [a.index, b.index], out, kind, options, 2)
    return out
