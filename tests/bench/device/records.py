"""A pack for people, and what its output has to be."""

import struct

import numpy as np
from image import BenchError
from kernel_library import Kernels
from moteye.compiler.operators import record_kinds, record_name
from reference import Reference

_WINDOWED = ("conv_2d", "depthwise_conv_2d", "average_pool_2d", "max_pool_2d")


def record_texts(pack: bytes) -> list[str]:
    """A short text a record: operator, shapes, multiply-accumulates."""
    (at,) = struct.unpack_from("<I", pack, 20)
    texts = []
    for kind in record_kinds(pack):
        text = name = record_name(kind)
        if name in _WINDOWED:
            f = struct.unpack_from("<10H", pack, at + 16)
            text += f" {f[0]}x{f[1]}x{f[2]} -> {f[3]}x{f[4]}x{f[5]} k{f[6]}x{f[7]} s{f[8]}"
            macs = f[3] * f[4] * f[5] * f[6] * f[7] * (f[2] if name == "conv_2d" else 1)
            text += f" {macs:,}"
        texts.append(text)
        at += struct.unpack_from("<H", pack, at + 2)[0]
    return texts


def expected_output(tflite: bytes, pack: bytes, kernels: Kernels) -> tuple[bytes, bytes, str]:
    """(input, output, who computed it) of one random inference.

    Raises BenchError when plain C and the reference differ.
    """
    plain = kernels.open(pack)
    rng = np.random.default_rng(7)
    values = rng.integers(-128, 128, tuple(plain.header.input_dims), dtype=np.int8)
    output = plain.run(values)
    ends = (plain.header.input_quant, plain.header.output_quant)
    first, second = (struct.unpack("<fi", bytes(end)) for end in ends)
    try:
        reference = Reference(tflite, (first, second))
    except (RuntimeError, ValueError):
        return values.tobytes(), output.tobytes(), "plain C (LiteRT refuses the model)"
    if not np.array_equal(reference.run(values), output):
        raise BenchError("plain C differs from BUILTIN_REF")
    return values.tobytes(), output.tobytes(), "BUILTIN_REF"
