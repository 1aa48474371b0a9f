"""The captioner's kernels through ctypes, and packs of random numbers in random shapes."""

import ctypes

import numpy as np
from kernel_library import Kernels, pointer
from moteye_training.captions.fixed import tables
from moteye_training.captions.pack import FACTORS, PRODUCTS, CaptionPack, Sizes, layout

PACK_BYTES, CAPTION_BYTES = 1024, 4096
"""At least as large as caption_pack_t and caption_t."""


def random_sizes(rng: np.random.Generator) -> Sizes:
    return Sizes(
        positions=int(rng.integers(1, 12)),
        channels=int(rng.integers(1, 40)),
        width=int(rng.integers(1, 36)),
        states=int(rng.integers(1, 12)),
        rank=int(rng.integers(1, 5)),
        words=int(rng.integers(3, 40)),
        longest=int(rng.integers(1, 7)),
        before_end=int(rng.integers(1, 4)),
    )


def random_pack(rng: np.random.Generator, sizes: Sizes | None = None) -> CaptionPack:
    """Numbers of the size that a trained pack has; now and then far beyond it."""
    s = sizes or random_sizes(rng)
    lengths = np.concatenate(([0, 0], rng.integers(1, 6, s.words - 2)))
    text = rng.integers(97, 123, int(lengths.sum())).astype(np.uint8)
    wild = rng.random() < 0.2
    arrays = {}
    for name, dtype, shape in layout(s, text.size):
        if dtype == "i1":
            value = rng.integers(-127, 128, shape)
        elif dtype == "<u2":
            value = rng.integers(0, 2000, shape)
        elif dtype == "<i4":
            value = rng.integers(-3000, 3000, shape)
        else:
            top = 32767 if wild else 3000
            value = rng.integers(-top, top + 1, shape)
        arrays[name] = value.astype(np.int64)
    for name in PRODUCTS:
        rows, columns = s.product(name)
        size = 127 * np.sqrt(columns) * 60
        real = 10 ** rng.uniform(-0.5, 2.5 if wild else 0.5) * 2000 / size
        mantissa, exponent = np.frexp(real * rng.uniform(0.5, 1.5, rows))
        arrays[f"{name}.multiplier"] = np.rint(mantissa * (2**31 - 1)).astype(np.int64)
        arrays[f"{name}.shift"] = exponent.astype(np.int64)
    arrays["gain"] = rng.integers(1, 32769, s.words)
    arrays["decay"] = rng.integers(1, 65536 if wild else 4000, (s.width, s.states))
    arrays |= {name: np.asarray(value).astype(np.int64) for name, value in tables().items()}
    arrays["text"], arrays["text_at"] = text, np.concatenate(([0], np.cumsum(lengths)))
    factors = {}
    for name in FACTORS:
        real = 0.02 * rng.uniform(0.2, 3) if name != "word" else rng.uniform(0.5, 20)
        mantissa, exponent = np.frexp(real)
        factors[name] = (int(mantissa * (2**31 - 1)), int(exponent))
    return CaptionPack(
        s, rng.bytes(8), int(rng.integers(-128, 128)), int(rng.integers(1, 15)), factors, arrays
    )


class CCaptioner:
    """A pack opened in C, with its work area between guards."""

    def __init__(self, kernels: Kernels, raw: bytes, beams: int) -> None:
        c = self.c = kernels.c
        c.caption_work_bytes.restype = ctypes.c_size_t
        c.caption_text.restype = ctypes.c_size_t
        c.caption_step.restype = ctypes.c_bool
        c.caption_log_sum.restype = ctypes.c_int32
        self.raw = np.frombuffer(raw, np.uint8).copy()
        self.pack = np.zeros(PACK_BYTES, np.uint8)
        kernels.check(
            c.caption_pack_open(pointer(self.raw), ctypes.c_size_t(len(raw)), pointer(self.pack))
        )
        self.work_bytes = c.caption_work_bytes(pointer(self.pack), beams)
        self.work = np.full(self.work_bytes + 64, 0xA5, np.uint8)
        self.caption = np.zeros(CAPTION_BYTES, np.uint8)
        c.caption_init(pointer(self.pack), beams, pointer(self.work), pointer(self.caption))

    def begin(self, maps: np.ndarray) -> None:
        self.maps = np.ascontiguousarray(maps, np.int8)
        self.c.caption_begin(pointer(self.caption), pointer(self.maps))

    def step(self) -> bool:
        return bool(self.c.caption_step(pointer(self.caption)))

    def say(self, maps: np.ndarray) -> str:
        self.begin(maps)
        while self.step():
            pass
        return self.text()

    def text(self, size: int = 4096) -> str:
        out = np.zeros(size, np.uint8)
        count = self.c.caption_text(pointer(self.caption), pointer(out), ctypes.c_size_t(size))
        return bytes(out[:count]).decode()

    @property
    def guarded(self) -> bool:
        return bool((self.work[self.work_bytes :] == 0xA5).all())
