"""More operators for `tflite_builder.NetBuilder`: functions of the net and tensor indices."""

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import OP, NetBuilder

_OPTIONS = schema.BuiltinOptions
_ARITHMETIC = {
    OP.ADD: (_OPTIONS.AddOptions, schema.AddOptionsT),
    OP.SUB: (_OPTIONS.SubOptions, schema.SubOptionsT),
    OP.MUL: (_OPTIONS.MulOptions, schema.MulOptionsT),
}


def arithmetic(net: NetBuilder, code: int, a: int, b: int, activation: int = 0) -> int:
    """ADD, SUB or MUL of what broadcasts."""
    shape = np.broadcast_shapes(net.shape(a), net.shape(b))
    scale = max(net.scale(a), net.scale(b)) * net.rng.uniform(0.6, 2)
    if code == OP.MUL:
        scale = net.scale(a) * net.scale(b) * net.rng.uniform(10, 150)
    kind, options = _ARITHMETIC[code][0], _ARITHMETIC[code][1]()
    options.fusedActivationFunction = activation
    out = net.tensor(shape, scale=scale, zero_point=net._zero())
    return net.op(code, [a, b], out, kind, options)


def constant(net: NetBuilder, shape: tuple[int, ...]) -> int:
    """A constant int8 operand."""
    data = net.rng.integers(-128, 128, shape)
    return net.tensor(shape, scale=net._scale(), zero_point=net._zero(), data=data)


def unary(net: NetBuilder, code: int, source: int) -> int:
    """An operator of one value, with the output quantisation that it asks for."""
    scale, zero_point = net._scale(), net._zero()
    kind, options = _OPTIONS.NONE, None
    if code == OP.LOGISTIC:
        scale, zero_point = 1 / 256, -128
    elif code == OP.TANH:
        scale, zero_point = 1 / 128, 0
    elif code == OP.HARD_SWISH:
        scale = net.scale(source) * float(net.rng.uniform(1, 3))
    elif code == OP.LEAKY_RELU:
        kind, options = _OPTIONS.LeakyReluOptions, schema.LeakyReluOptionsT()
        options.alpha = float(net.rng.uniform(0.01, 0.5))
    out = net.tensor(net.shape(source), scale=scale, zero_point=zero_point)
    return net.op(code, [source], out, kind, options)


def concatenation(net: NetBuilder, sources: list[int], axis: int) -> int:
    """CONCATENATION of tensors of one quantisation."""
    shape = list(net.shape(sources[0]))
    shape[axis] = sum(net.shape(source)[axis] for source in sources)
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    out = net._like(sources[0], shape)
    return net.op(OP.CONCATENATION, sources, out, _OPTIONS.ConcatenationOptions, options)


def pack(net: NetBuilder, sources: list[int], axis: int) -> int:
    """PACK: a new axis."""
    shape = list(net.shape(sources[0]))
    shape.insert(axis, len(sources))
    options = schema.PackOptionsT()
    options.axis, options.valuesCount = axis, len(sources)
    out = net._like(sources[0], shape)
    return net.op(OP.PACK, sources, out, _OPTIONS.PackOptions, options)


def unpack(net: NetBuilder, source: int, axis: int) -> list[int]:
    """UNPACK: an axis taken apart."""
    shape = list(net.shape(source))
    count = shape.pop(axis)
    options = schema.UnpackOptionsT()
    options.axis, options.num = axis, count
    outs = [net._like(source, shape) for _ in range(count)]
    return net.op(OP.UNPACK, [source], outs, _OPTIONS.UnpackOptions, options) and outs


def split(net: NetBuilder, source: int, axis: int, sizes: list[int]) -> list[int]:
    """SPLIT where the sizes are equal, else SPLIT_V."""
    shape = list(net.shape(source))
    outs = [net._like(source, [*shape[:axis], size, *shape[axis + 1 :]]) for size in sizes]
    at = net.tensor((), np.int32, data=np.array(axis))
    if len(set(sizes)) == 1:
        options = schema.SplitOptionsT()
        options.numSplits = len(sizes)
        net.op(OP.SPLIT, [at, source], outs, _OPTIONS.SplitOptions, options)
        return outs
    options = schema.SplitVOptionsT()
    options.numSplits = len(sizes)
    counts = net.tensor((len(sizes),), np.int32, data=np.array(sizes))
    net.op(OP.SPLIT_V, [source, counts, at], outs, _OPTIONS.SplitVOptions, options)
    return outs


def strided_slice(net: NetBuilder, source: int, spans: list[slice], shrink: int = 0) -> int:
    """STRIDED_SLICE; `shrink` is its mask of axes of which one index is taken."""
    shape = net.shape(source)
    begins = [span.start or 0 for span in spans]
    ends = [0 if span.stop is None else span.stop for span in spans]
    steps = [span.step or 1 for span in spans]
    options = schema.StridedSliceOptionsT()
    options.beginMask = sum(1 << i for i, span in enumerate(spans) if span.start is None)
    options.endMask = sum(1 << i for i, span in enumerate(spans) if span.stop is None)
    options.shrinkAxisMask = shrink
    left = [
        len(range(side)[span])
        for i, (side, span) in enumerate(zip(shape, spans, strict=True))
        if not shrink >> i & 1
    ]
    places = [
        net.tensor((len(shape),), np.int32, data=np.array(values))
        for values in (begins, ends, steps)
    ]
    out = net._like(source, left)
    kind = _OPTIONS.StridedSliceOptions
    return net.op(OP.STRIDED_SLICE, [source, *places], out, kind, options)


def slice_(net: NetBuilder, source: int, begin: list[int], sizes: list[int]) -> int:
    """SLICE; a size of -1 is the rest."""
    rest = [
        side - first if size == -1 else size
        for side, first, size in zip(net.shape(source), begin, sizes, strict=True)
    ]
    places = [
        net.tensor((len(sizes),), np.int32, data=np.array(values)) for values in (begin, sizes)
    ]
    out = net._like(source, rest)
    options = schema.SliceOptionsT()
    return net.op(OP.SLICE, [source, *places], out, _OPTIONS.SliceOptions, options)


def resize(
    net: NetBuilder, code: int, source: int, size: tuple[int, int], align: bool, half: bool
) -> int:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""
    bilinear = code == OP.RESIZE_BILINEAR
    options = (
        schema.ResizeBilinearOptionsT() if bilinear else schema.ResizeNearestNeighborOptionsT()
    )
    options.alignCorners, options.halfPixelCenters = align, half
    target = net.tensor((2,), np.int32, data=np.array(size))
    out = net._like(source, (1, *size, net.shape(source)[3]))
    kind = _OPTIONS.ResizeBilinearOptions if bilinear else _OPTIONS.ResizeNearestNeighborOptions
    return net.op(code, [source, target], out, kind, options)


def pad_v2(net: NetBuilder, source: int, amounts: list[list[int]]) -> int:
    """PADV2 of any rank, with a random value."""
    shape = [side + sum(pair) for side, pair in zip(net.shape(source), amounts, strict=True)]
    border = net.tensor((len(shape), 2), np.int32, data=np.array(amounts))
    scale, zero_point = net.scale(source), net.zero_point(source)
    value = net.rng.integers(-128, 128, ())
    filler = net.tensor((), scale=scale, zero_point=zero_point, data=value)
    out = net._like(source, shape)
    kind = _OPTIONS.PadV2Options
    return net.op(OP.PADV2, [source, border, filler], out, kind, schema.PadV2OptionsT())


def flat(net: NetBuilder, source: int) -> int:
    """Reshaped to one row."""
    return net.reshape(source, [1, math.prod(net.shape(source))])
