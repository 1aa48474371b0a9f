"""match_prototypes, prob_q8, similarity_q8, crc32_ieee against NumPy, to the last bit."""

import ctypes
import math
import struct
import zlib

import numpy as np
import pytest
from kernel_library import KernelError, Kernels, pointer, run_sanitized
from moteye_protocol import wire
from reference import prob_q8, similarity_q8

HASH = b"encoder!"
DIMS = (16, 32, 64, 128, 256)
WIDTHS = (16, 16, 32, 64, 128)


class Parts:
    """A prototype set as arrays: what the file holds, before it is a file."""

    def __init__(
        self, rng: np.random.Generator, count: int, planes: int = 5, extreme: bool = False
    ) -> None:
        self.count, self.planes = count, planes
        dim = DIMS[planes - 1]
        self.codes = rng.integers(-8, 8, (count, dim)).astype(np.int8)
        self.scale = rng.integers(0, 256, (planes, count)).astype(np.uint8)
        self.mult = rng.integers(0, 65536, (planes, count)).astype(np.uint16)
        self.offset = rng.integers(-32768, 32768, (planes, count)).astype(np.int16)
        self.shift = rng.integers(10, 30, planes).tolist()
        if extreme:
            self.codes[:] = rng.choice(np.int8([-8, 7]), self.codes.shape)
            self.codes[0], self.scale[:], self.mult[:] = -8, 255, 65535
            self.shift = [0, 63, 20, 1, 24][:planes]
        self.names = [f"row {k} \N{BLACK CHESS KING}"[: k % 9] for k in range(count)]

    def file(self) -> bytes:
        body = bytearray()
        first = 0
        for plane in range(self.planes):
            codes = self.codes[:, first : first + WIDTHS[plane]].astype(np.uint8) & 15
            first += WIDTHS[plane]
            body += (codes[:, 0::2] | codes[:, 1::2] << 4).tobytes() + self.scale[plane].tobytes()
            body += bytes(-len(body) % 4)
            body += (
                self.mult[plane].astype("<u2").tobytes()
                + self.offset[plane].astype("<i2").tobytes()
            )
            body += bytes(-len(body) % 4)
        names = b"".join(bytes([len(name.encode())]) + name.encode() for name in self.names)
        names_offset = 64 + len(body)
        body += names
        header = struct.pack(
            "<4s4B8sIIHhIIII5s15x",
            b"MEPS",
            1,
            4,
            self.planes,
            1,
            HASH,
            7,
            42,
            self.count,
            -3,
            64 + len(body),
            names_offset,
            len(names),
            zlib.crc32(body),
            bytes(self.shift).ljust(5, b"\0"),
        )
        return header + bytes(body)

    def margins(self, embedding: np.ndarray, dim: int) -> np.ndarray:
        """The definition, in Python integers."""
        last = DIMS.index(dim)
        e = embedding[:dim].astype(np.int64)
        norm = math.isqrt(int((e * e).sum()))
        if norm == 0:
            return np.full(self.count, -32768, np.int16)
        scores = np.zeros(self.count, np.int64)
        first = 0
        for plane in range(last + 1):
            end = first + WIDTHS[plane]
            scores += self.scale[plane] * (self.codes[:, first:end].astype(np.int64) @ e[first:end])
            first = end
        cosine = [int(score) * ((1 << 24) // norm) >> 12 for score in scores]
        rows = zip(cosine, self.mult[last].tolist(), self.offset[last].tolist(), strict=True)
        raw = [(c * mult >> self.shift[last]) + offset for c, mult, offset in rows]
        return np.array([min(max(value, -32768), 32767) for value in raw], np.int16)


class PrototypeSet(ctypes.Structure):
    """prototype_set_t, opaque: larger than it can be."""

    _fields_ = [("words", ctypes.c_uint64 * 64)]


def open_set(
    kernels: Kernels, file: bytes, dim: int, space: bytes = HASH
) -> tuple[PrototypeSet, np.ndarray]:
    data = np.frombuffer(file, np.uint8).copy()
    opened = PrototypeSet()
    size = ctypes.c_size_t(len(file))
    kernels.check(
        kernels.c.prototype_set_open(pointer(data), size, space, dim, ctypes.byref(opened))
    )
    return opened, data


def match(kernels: Kernels, parts: Parts, embedding: np.ndarray, dim: int) -> np.ndarray:
    opened, _data = open_set(kernels, parts.file(), dim)
    margins = np.zeros(parts.count, np.int16)
    kernels.c.match_prototypes(ctypes.byref(opened), pointer(embedding), pointer(margins))
    return margins


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 101])
def test_match_equals_definition(kernels: Kernels, count: int, dim: int) -> None:
    rng = np.random.default_rng(count * 1000 + dim)
    for planes in range(DIMS.index(dim) + 1, 6):
        parts = Parts(rng, count, planes)
        embedding = rng.integers(-128, 128, 256).astype(np.int8)
        np.testing.assert_array_equal(
            match(kernels, parts, embedding, dim), parts.margins(embedding, dim)
        )


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("value", [-128, -1, 0, 1, 127])
def test_match_extremes_equal_definition(kernels: Kernels, value: int, dim: int) -> None:
    parts = Parts(np.random.default_rng(dim), 9, extreme=True)
    embedding = np.full(256, value, np.int8)
    np.testing.assert_array_equal(
        match(kernels, parts, embedding, dim), parts.margins(embedding, dim)
    )


def test_match_sparse_embedding_equals_definition(kernels: Kernels) -> None:
    parts = Parts(np.random.default_rng(5), 20)
    for place in range(0, 256, 17):
        embedding = np.zeros(256, np.int8)
        embedding[place] = -1
        for dim in DIMS:
            np.testing.assert_array_equal(
                match(kernels, parts, embedding, dim), parts.margins(embedding, dim)
            )


def test_set_names_are_read(kernels: Kernels) -> None:
    parts = Parts(np.random.default_rng(1), 12)
    opened, _data = open_set(kernels, parts.file(), 64)
    kernels.c.prototype_set_name.restype = ctypes.c_void_p
    for k, name in enumerate(parts.names):
        size = ctypes.c_size_t()
        at = kernels.c.prototype_set_name(ctypes.byref(opened), k, ctypes.byref(size))
        assert ctypes.string_at(at, size.value).decode() == name


def _word(file: bytes, offset: int, layout: str, value: int) -> bytes:
    packed = struct.pack(layout, value)
    return file[:offset] + packed + file[offset + len(packed) :]


def _with_crc(file: bytes) -> bytes:
    return _word(file, 40, "<I", zlib.crc32(file[64:]))


@pytest.mark.parametrize(
    ("offset", "layout", "value", "reason"),
    [
        (0, "<B", 0, "bad magic"),
        (4, "<B", 2, "unknown version"),
        (5, "<B", 8, "unknown version"),
        (6, "<B", 0, "bad header"),
        (6, "<B", 6, "bad header"),
        (7, "<B", 2, "unknown version"),
        (8, "<B", 0, "other encoder"),
        (24, "<H", 0, "bad header"),
        (24, "<H", wire.MAX_ROWS + 1, "bad header"),
        (24, "<H", 11, "bad header"),
        (28, "<I", 1, "wrong size"),
        (32, "<I", 64, "bad header"),
        (32, "<I", 0xFFFFFFFF, "bad header"),
        (36, "<I", 1, "bad header"),
        (40, "<I", 0, "crc mismatch"),
        (44, "<B", 64, "bad quantisation"),
        (49, "<B", 1, "bad header"),
        (50, "<B", 1, "bad header"),
    ],
)
def test_damaged_set_names_its_reason(
    kernels: Kernels, offset: int, layout: str, value: int, reason: str
) -> None:
    file = Parts(np.random.default_rng(2), 10).file()
    with pytest.raises(KernelError, match=f"^{reason}$"):
        open_set(kernels, _word(file, offset, layout, value), 64)


def test_set_of_fewer_planes_refuses_a_larger_dim(kernels: Kernels) -> None:
    file = Parts(np.random.default_rng(2), 10, planes=2).file()
    open_set(kernels, file, 32)
    for dim in (0, 17, 64, 256):
        with pytest.raises(KernelError, match="no such dim"):
            open_set(kernels, file, dim)


@pytest.mark.parametrize(
    "name", [b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80"]
)
def test_set_with_a_name_that_is_not_utf8_is_refused(kernels: Kernels, name: bytes) -> None:
    parts = Parts(np.random.default_rng(2), 1)
    parts.names = ["x" * len(name)]
    file = parts.file()
    with pytest.raises(KernelError, match="bad names"):
        open_set(kernels, _with_crc(file[: -len(name)] + name), 16)


def test_damaged_sets_stay_in_bounds() -> None:
    rng = np.random.default_rng(3)
    files = [Parts(rng, count, planes).file() for count, planes in ((1, 1), (3, 3), (10, 5))]
    cut = [file[:n] for file in files for n in range(len(file))]
    assert all(status < 0 for status in run_sanitized("set", cut))
    shrunk = [
        _with_crc(_word(file[:n], 28, "<I", n)) for file in files for n in range(64, len(file))
    ]
    assert all(status < 0 for status in run_sanitized("set", shrunk))
    cases = []
    for i in range(500):
        damaged = bytearray(files[i % 3])
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(4, len(damaged)))] = int(rng.integers(256))
        cases.append(_with_crc(bytes(damaged)))
    statuses = run_sanitized("set", cases)
    assert 0 in statuses
    assert min(statuses) < 0
    assert run_sanitized("set", files) == [0, 0, 0]


def test_prob_q8_equals_its_formula(kernels: Kernels) -> None:
    for margin in [*range(-2200, 2200), -(1 << 31), (1 << 31) - 1, -32768, 32767]:
        assert kernels.c.prob_q8(margin) == prob_q8(margin)


def _similarity(kernels: Kernels, a: np.ndarray, b: np.ndarray, dim: int) -> int:
    out = ctypes.c_int32(99)
    kernels.check(
        kernels.c.similarity_q8(pointer(a), pointer(b), ctypes.c_size_t(dim), ctypes.byref(out))
    )
    return out.value


def test_similarity_q8_equals_definition(kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    extremes = [np.full(256, value, np.int8) for value in (-128, -1, 0, 1, 127)]
    vectors = extremes + [rng.integers(-128, 128, 256).astype(np.int8) for _ in range(20)]
    for a in vectors:
        for b in vectors:
            for dim in (1, 16, 64, 256):
                assert _similarity(kernels, a, b, dim) == similarity_q8(a, b, dim)


def test_crc32_equals_zlib(kernels: Kernels) -> None:
    data = np.random.default_rng(6).integers(0, 256, 1000).astype(np.uint8)
    for size in (0, 1, 2, 3, 255, 1000):
        assert kernels.c.crc32_ieee(pointer(data), ctypes.c_size_t(size)) == zlib.crc32(
            data[:size].tobytes()
        )


def test_set_constants_equal_the_wire() -> None:
    assert wire.SET_DIMS == DIMS
    assert wire.SET_HEADER_BYTES == 64
    assert wire.MAX_ROWS == 16384
    assert (wire.SET_MAGIC, wire.SET_FORMAT, wire.SET_BITS, wire.SET_PREPROCESSING) == (
        b"MEPS",
        1,
        4,
        1,
    )
