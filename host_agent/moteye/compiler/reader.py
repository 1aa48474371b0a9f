"""A `.tflite` flatbuffer as a small graph of dataclasses."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from .error import ModelError

_NUMPY_TYPES = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.FLOAT32: np.float32,
}


def enum_names(enum: type) -> dict[int, str]:
    """Name by number of one of the schema's enumerations."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OPERATOR_NAMES = enum_names(schema.BuiltinOperator)
_TYPE_NAMES = enum_names(schema.TensorType)


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    `scale` float32[n] and `zero_point` int64[n] have one entry, or one a slice of `axis`; none when
    it is not quantised. `data` is the constant's array in `shape`, or None for what is computed.
    uint8 tensors are read as INT8, 128 less, with `unsigned` set.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    data: NDArray[Any] | None
    unsigned: bool = False

    @property
    def elements(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def same_quantisation(self, other: "Tensor") -> bool:
        """Whether a byte means the same in both."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(
            self.zero_point, other.zero_point
        )


@dataclass
class Op:
    """One operator; `inputs` holds tensor indices, -1 for an optional one left out.

    What passes fold into it: `pad` (top, left, bottom, right) zero-point rows and columns in front
    of its own padding, `clamp` a further limit of its output (quantised, inclusive).
    """

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Any
    source: Any = None  # the schema's OperatorT and OperatorCodeT, for the reference kernels
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    clamp: tuple[int, int] = (-128, 127)


@dataclass
class Graph:
    """Operators in execution order; `storage` maps a tensor to the one whose bytes it shares."""

    tensors: list[Tensor]
    ops: list[Op]
    input: int
    output: int
    storage: dict[int, int] = field(default_factory=dict)

    def bytes_of(self, index: int) -> int:
        """The tensor that owns the bytes of `index`."""
        while index in self.storage:
            index = self.storage[index]
        return index

    def readers(self, index: int) -> Iterator[Op]:
        """Operators that take `index` as an input."""
        return (op for op in self.ops if index in op.inputs)

    def fault(self, op: Op, index: int, text: str) -> ModelError:
        """An error that names operator and tensor."""
        name = self.tensors[index].name if 0 <= index < len(self.tensors) else "-"
        return ModelError(f"{op.kind}, tensor {name!r}: {text}")


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""


def _read_tensor(raw: Any, buffers: list[Any]) -> Tensor:
    shape = tuple(int(side) for side in (raw.shape if raw.shape is not None else ()))
    quantization = raw.quantization
    has_scale = quantization is not None and quantization.scale is not None
    scale = np.asarray(quantization.scale if has_scale else [], np.float32)
    has_zero = has_scale and quantization.zeroPoint is not None
    zero_point = np.asarray(quantization.zeroPoint if has_zero else np.zeros(len(scale)), np.int64)
    stored = buffers[raw.buffer].data
    data = None
    if stored is not None and len(stored) and raw.type in _NUMPY_TYPES:
        little_endian = np.dtype(_NUMPY_TYPES[raw.type]).newbyteorder("<")
        data = np.frombuffer(np.asarray(stored, np.uint8).tobytes(), little_endian).reshape(shape)
    axis = int(quantization.quantizedDimension) if quantization is not None else 0
    dtype = _TYPE_NAMES.get(raw.type, str(raw.type))
    tensor = Tensor(_text(raw.name), shape, dtype, scale, zero_point, axis, data)
    return _signed(tensor) if dtype == "UINT8" else tensor


def _signed(tensor: Tensor) -> Tensor:
    """A uint8 tensor as int8: every value and zero point 128 less, which means the same."""
    data = None if tensor.data is None else (tensor.data ^ 0x80).view(np.int8)
    zero_point = tensor.zero_point - 128
    return replace(tensor, dtype="INT8", zero_point=zero_point, data=data, unsigned=True)


def _read_op(raw: Any, codes: list[Any]) -> Op:
    code = codes[raw.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = _OPERATOR_NAMES.get(number, str(number))
    if code.customCode:
        kind = _text(code.customCode)
    inputs = [int(i) for i in raw.inputs] if raw.inputs is not None else []
    outputs = [int(i) for i in raw.outputs] if raw.outputs is not None else []
    return Op(kind, inputs, outputs, raw.builtinOptions, (raw, code))


def _unpack(data: bytes) -> Graph:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    if len(model.subgraphs) != 1:
        raise ModelError(f"the model has {len(model.subgraphs)} subgraphs; one is supported")
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            f"the model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; "
            "one of each is supported"
        )
    tensors = [_read_tensor(raw, model.buffers) for raw in graph.tensors]
    ops = [_read_op(raw, model.operatorCodes) for raw in graph.operators]
    return Graph(tensors, ops, int(graph.inputs[0]), int(graph.outputs[0]))


def _check_order(graph: Graph) -> None:
    known = {graph.input} | {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None}
    for op in graph.ops:
        for index in op.inputs:
            if index != -1 and index not in known:
                raise graph.fault(op, index, "is read before anything computes it")
        if not op.outputs or not all(0 <= index < len(graph.tensors) for index in op.outputs):
            raise graph.fault(op, -1, "has no output")
        known |= set(op.outputs)
    if graph.output not in known:
        raise ModelError("nothing computes the model's output")


def _add_shapes(graph: Graph, data: bytes) -> None:
    """Some exporters leave shapes to the interpreter: ask it."""
    outputs = {index for op in graph.ops for index in op.outputs}
    if all(graph.tensors[index].shape for index in outputs):
        return
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_tensor_details():
        if detail["index"] in outputs:
            shape = tuple(int(side) for side in detail["shape"])
            graph.tensors[detail["index"]] = replace(graph.tensors[detail["index"]], shape=shape)


def read_model(data: bytes) -> Graph:
    """The graph of a `.tflite` file.

    Raises ModelError for what is not one, or has not one input and one output.
    """
    if data[4:8] != b"TFL3":
        raise ModelError("not a TFLite model: the file identifier TFL3 is missing")
    try:
        graph = _unpack(data)
        _check_order(graph)
        _add_shapes(graph, data)
    except ModelError:
        raise
    except Exception as error:  # the generated reader fails in many ways on damaged bytes
        raise ModelError(f"damaged TFLite model: {error}") from error
    return graph
