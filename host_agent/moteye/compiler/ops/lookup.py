"""Operators of one int8 value each: a table of 256, asked of the reference kernel itself."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..kinds import LOOKUP
from ..reader import Graph, Op, Tensor
from ..record import Constant, Record, pack_fields
from .checks import computed, quantised

_KINDS = (
    "ABS",
    "ELU",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOGISTIC",
    "NEG",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "RSQRT",
    "TANH",
)


def _raw_tensor(tensor: Tensor) -> Any:
    raw = schema.TensorT()
    raw.name = tensor.name.encode()
    raw.shape = np.array([1, 256], np.int32)
    raw.type = schema.TensorType.UINT8 if tensor.unsigned else schema.TensorType.INT8
    raw.quantization = schema.QuantizationParametersT()
    raw.quantization.scale = tensor.scale
    raw.quantization.zeroPoint = tensor.zero_point + (128 if tensor.unsigned else 0)
    return raw


def _model_of(op: Op, source: Tensor, target: Tensor) -> bytes:
    """A `.tflite` of this operator alone, between tensors of 256 values."""
    old, code = op.source
    raw = schema.OperatorT()
    raw.inputs, raw.outputs = np.array([0], np.int32), np.array([1], np.int32)
    raw.builtinOptionsType, raw.builtinOptions = old.builtinOptionsType, old.builtinOptions
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [_raw_tensor(source), _raw_tensor(target)], [raw]
    graph.inputs, graph.outputs = raw.inputs, raw.outputs
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def reference_table(op: Op, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """int8[256], the output for each value from -128 on, as BUILTIN_REF computes it.

    Raises RuntimeError or ValueError for what the reference does not run.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=_model_of(op, source, target),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    values = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    raw = (values.view(np.uint8) ^ 0x80) if source.unsigned else values
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], raw)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1)
    table = (found ^ 0x80).view(np.int8) if target.unsigned else found
    return np.asarray(table, np.int8)


def lower(graph: Graph, op: Op) -> Record:
    """The record of an operator of one value."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    if source.elements != target.elements:
        raise graph.fault(op, op.outputs[0], "has not as many values as the input")
    try:
        table = reference_table(op, source, target)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise graph.fault(op, op.outputs[0], f"the reference refuses it: {reason}") from error
    body = pack_fields(graph, op, "I", source.elements)
    constant = Constant(table.tobytes(), 16)
    return Record(
        LOOKUP, op.kind, (op.inputs[0],), op.outputs[0], body, in_place=True, constants=(constant,)
    )


LOWERS = dict.fromkeys(_KINDS, lower)
