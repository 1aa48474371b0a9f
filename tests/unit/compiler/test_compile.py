"""compile_model: what it folds, what it writes, and how it refuses."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
import tflite_layers as layers
from ai_edge_litert import schema_py_generated as schema
from moteye.compiler import ModelError, compile_model, compile_with_report, encoder_hash
from moteye.errors import MoteyeError
from random_nets import random_net, tiny_encoder
from tflite_builder import ACTIVATION, OP, PADDING, NetBuilder


def builder(shape: tuple[int, ...] = (1, 8, 8, 4)) -> tuple[NetBuilder, int]:
    net = NetBuilder(np.random.default_rng(0))
    return net, net.input(shape)


def test_compile_same_file_gives_same_bytes() -> None:
    for seed in range(5):
        assert compile_model(random_net(seed)) == compile_model(random_net(seed))


def test_pack_header_says_what_the_report_says() -> None:
    pack, report = compile_with_report(tiny_encoder(0))
    magic, version, header_bytes, crc = struct.unpack_from("<4sHHI", pack)
    size, ops, _, _, data, data_bytes, arena, macs = struct.unpack_from("<8I", pack, 12)
    assert (magic, version, header_bytes) == (b"MEPK", 2, 96)
    assert crc == zlib.crc32(pack[12:])
    assert size == len(pack) == report.pack_bytes == data + data_bytes
    assert (ops, arena, macs) == (
        sum(report.operators.values()),
        report.arena_bytes,
        report.macs,
    )
    assert report.arena_bytes == report.live_peak_bytes
    assert report.encoder_hash == encoder_hash(pack).hex()
    assert f"{len(pack):,} bytes" in str(report)


def test_pad_before_convolutions_is_folded() -> None:
    net, x = builder()
    padded = net.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]])
    a = net.conv(padded, 4, (3, 3), padding=PADDING.VALID)
    b = net.depthwise(padded, kernel=(3, 3), padding=PADDING.VALID)
    assert "PAD" not in compile_with_report(net.finish(net.add(a, b)))[1].operators


def test_pad_that_is_an_output_or_pads_channels_stays() -> None:
    net, x = builder()
    assert compile_with_report(net.finish(net.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])))[
        1
    ].operators == {"PAD": 1}
    net, x = builder()
    wide = net.conv(net.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]), 4)
    assert compile_with_report(net.finish(wide))[1].operators == {"CONV_2D": 1, "PAD": 1}


def test_views_and_activations_cost_no_record() -> None:
    net, x = builder((1, 1, 8, 4))
    x = net.relu(net.conv(x, 4), OP.RELU6)
    x = net.reshape(net.transpose(x, [0, 2, 1, 3]), [1, 32])
    assert compile_with_report(net.finish(net.fully_connected(x, 3)))[1].operators == {
        "CONV_2D": 1,
        "FULLY_CONNECTED": 1,
    }


def test_macs_are_counted() -> None:
    net, x = builder((1, 8, 8, 4))
    x = net.depthwise(net.conv(x, 16, (3, 3), (2, 2)), kernel=(5, 5))
    report = compile_with_report(net.finish(net.fully_connected(net.reshape(x, [1, 256]), 10)))[1]
    assert report.macs == 4 * 4 * 16 * 9 * 4 + 4 * 4 * 16 * 25 + 256 * 10


def _unsupported() -> bytes:
    net, x = builder()
    out = net.tensor((1, 8, 8, 4), scale=0.1)
    return net.finish(net.op(OP.SIN, [x], out))


def _broadcast() -> bytes:
    net, x = builder()
    y = layers.constant(net, (1, 1, 1, 3))
    out = net.tensor((1, 8, 8, 4), scale=0.1)
    return net.finish(
        net.op(OP.ADD, [x, y], out, schema.BuiltinOptions.AddOptions, schema.AddOptionsT())
    )


def _many_broadcasts() -> bytes:
    net, x = builder((1, 4, 4, 4))
    y = layers.constant(net, (2, 1, 2, 1, 2, 1))
    product = layers.arithmetic(net, OP.MUL, net.reshape(x, [2] * 6), y)
    return net.finish(net.reshape(product, [1, 64]))


def _two_constants() -> bytes:
    net, x = builder()
    y = layers.arithmetic(net, OP.SUB, layers.constant(net, (4,)), layers.constant(net, (4,)))
    return net.finish(layers.arithmetic(net, OP.SUB, x, y))


def _requantising_concatenation() -> bytes:
    net, x = builder()
    return net.finish(layers.concatenation(net, [x, net.conv(x, 4)], 3))


def _bad_logistic() -> bytes:
    net, x = builder()
    out = net.tensor((1, 8, 8, 4), scale=0.1)
    return net.finish(net.op(OP.LOGISTIC, [x], out))


def _new_axis() -> bytes:
    net, x = builder()
    y = layers.strided_slice(net, x, [slice(None)] * 4)
    net.graph.operators[-1].builtinOptions.newAxisMask = 1
    return net.finish(y)


def _uint8_bilinear() -> bytes:
    net = NetBuilder(np.random.default_rng(0), unsigned=True)
    x = net.input((1, 4, 4, 2))
    return net.finish(layers.resize(net, OP.RESIZE_BILINEAR, x, (8, 8), False, False))


def _float_input() -> bytes:
    net = NetBuilder(np.random.default_rng(0))
    x = net.tensor((1, 4, 4, 1), np.float32)
    net.graph.inputs = [x]
    return net.finish(x)


def _batch() -> bytes:
    net, x = builder((2, 4, 4, 1))
    out = net.tensor((2, 4, 4, 3), scale=0.1)
    weights = net.tensor((3, 1, 1, 1), scale=0.1, data=np.ones(3))
    bias = net.tensor((3,), np.int32, scale=0.1, data=np.zeros(3))
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    return net.finish(
        net.op(OP.CONV_2D, [x, weights, bias], out, schema.BuiltinOptions.Conv2DOptions, options)
    )


def _filter_zero_point() -> bytes:
    net, x = builder()
    net.conv(x, 2)
    net.graph.tensors[1].quantization.zeroPoint[:] = 3
    return net.finish(len(net.graph.tensors) - 1)


def _sign_activation() -> bytes:
    net, x = builder()
    return net.finish(net.conv(x, 2, activation=ACTIVATION.TANH))


@pytest.mark.parametrize(
    ("model", "operator", "tensor", "reason"),
    [
        (_unsupported, "SIN", "t1", "operator not supported (supported: ABS, ADD,"),
        (_broadcast, "ADD", "t1", "[1, 8, 8, 4] and [1, 1, 1, 3] do not give [1, 8, 8, 4]"),
        (_many_broadcasts, "MUL", "t1", "broadcasts along too many axes in turn"),
        (_two_constants, "SUB", "t1", "both operands are constants"),
        (_requantising_concatenation, "CONCATENATION", "t4", "needs the quantisation of"),
        (_bad_logistic, "LOGISTIC", "t1", "the reference refuses it"),
        (_new_axis, "STRIDED_SLICE", "t0", "ellipsis, new axes and offsets"),
        (_uint8_bilinear, "RESIZE_BILINEAR", "t0", "TFLite resizes in floats"),
        (_float_input, "input", "t0", "is FLOAT32 [1x4x4x1]; needs quantised INT8"),
        (_batch, "CONV_2D", "t0", "has shape [2, 4, 4, 1]; needs [1, height, width, channels]"),
        (_filter_zero_point, "CONV_2D", "t1", "zero point 0"),
        (_sign_activation, "CONV_2D", "t3", "fused activation TANH not supported"),
    ],
)
def test_refusal_names_operator_and_tensor(model, operator: str, tensor: str, reason: str) -> None:
    with pytest.raises(ModelError) as caught:
        compile_model(model())
    text = str(caught.value)
    assert text.startswith(operator)
    assert repr(tensor) in text
    assert reason in text
    assert isinstance(caught.value, MoteyeError)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"\xff\xff\xff\x7fTFL3" + b"\xff" * 60])
def test_not_a_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        compile_model(data)


def test_damaged_model_is_refused_or_compiled() -> None:
    whole = tiny_encoder(0, side=8, dim=16)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(8, len(whole), 3).tolist():
            damaged[place] ^= int(rng.integers(1, 256))
        with contextlib.suppress(ModelError):
            compile_model(bytes(damaged))
