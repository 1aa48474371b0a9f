"""device/kernels for the tests: a library through ctypes, and a program with sanitizers."""

import ctypes
import hashlib
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[3]
KERNELS = ROOT / "device" / "kernels"
FUZZ = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build" / "tests" / "kernels"
_SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
_COMMON = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{KERNELS}"]

Int8 = npt.NDArray[np.int8]


def _compile(name: str, flags: list[str], extra: list[Path], own_operators: bool = False) -> Path:
    """Compile kernels and `extra`, once a content of the sources; processes may race.

    `own_operators`: the list of operators is in `extra`.
    """
    kernels = sorted(KERNELS.rglob("*.c"))
    if own_operators:
        kernels.remove(KERNELS / "model_operators.c")
    sources = kernels + extra
    digest = hashlib.sha256(repr(flags).encode())
    for path in [*sources, *sorted(KERNELS.rglob("*.h"))]:
        digest.update(path.read_bytes())
    target = BUILD / f"{name}-{digest.hexdigest()[:16]}"
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=BUILD)
        os.close(handle)
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *_COMMON, *flags, "-o", partial, *map(str, sources)], check=True)
        Path(partial).replace(target)
    return target


class ModelHeader(ctypes.Structure):
    """model_header_t, as far as the tests read it."""

    _fields_ = [
        ("magic", ctypes.c_char * 4),
        ("version", ctypes.c_uint16),
        ("header_bytes", ctypes.c_uint16),
        ("crc32", ctypes.c_uint32),
        ("size_bytes", ctypes.c_uint32),
        ("op_count", ctypes.c_uint32),
        ("ops_offset", ctypes.c_uint32),
        ("ops_bytes", ctypes.c_uint32),
        ("data_offset", ctypes.c_uint32),
        ("data_bytes", ctypes.c_uint32),
        ("arena_bytes", ctypes.c_uint32),
        ("macs", ctypes.c_uint32),
        ("input_offset", ctypes.c_uint32),
        ("input_dims", ctypes.c_uint16 * 4),
        ("input_quant", ctypes.c_uint8 * 8),
        ("output_offset", ctypes.c_uint32),
        ("output_dims", ctypes.c_uint16 * 4),
        ("output_quant", ctypes.c_uint8 * 8),
        ("reserved", ctypes.c_uint8 * 12),
    ]


class _Model(ctypes.Structure):
    _fields_ = [("pack", ctypes.c_void_p), ("header", ModelHeader)]


def pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


class KernelError(Exception):
    """A status other than MOTEYE_OK; `status` is the number."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Kernels:
    """The shared library; `operators` is a C file with another list of operators.

    `plain`: without the kernels of this machine's processor.
    """

    def __init__(
        self,
        operators: Path | None = None,
        *,
        plain: bool = False,
        flags: tuple[str, ...] = ("-O2",),
    ) -> None:
        all_flags = [*flags, "-fPIC", "-shared", *(["-DMOTEYE_X86=0"] if plain else [])]
        extra = [] if operators is None else [operators]
        self.c = ctypes.CDLL(str(_compile("libkernels.so", all_flags, extra, bool(extra))))
        self.c.status_text.restype = ctypes.c_char_p
        self.c.prob_q8.restype = ctypes.c_uint8
        self.c.crc32_ieee.restype = ctypes.c_uint32

    def check(self, status: int) -> None:
        if status != 0:
            raise KernelError(status, self.c.status_text(status).decode())

    def open(self, pack: bytes) -> "Model":
        return Model(self, pack)


class Model:
    """An opened pack with its arena."""

    def __init__(self, kernels: Kernels, pack: bytes) -> None:
        self.kernels = kernels
        self._pack = np.frombuffer(pack, np.uint8).copy()
        self._model = _Model()
        status = kernels.c.model_open(
            pointer(self._pack), ctypes.c_size_t(len(pack)), ctypes.byref(self._model)
        )
        kernels.check(status)
        self.header = self._model.header
        self.arena = np.zeros(self.header.arena_bytes, np.int8)

    def run(self, values: Int8) -> Int8:
        """One inference: int8 input of any shape in, flat int8 output."""
        at = self.header.input_offset
        self.arena[at : at + values.size] = values.reshape(-1)
        size = ctypes.c_size_t(self.arena.size)
        self.kernels.check(
            self.kernels.c.model_run(ctypes.byref(self._model), pointer(self.arena), size)
        )
        at, count = self.header.output_offset, int(np.prod(self.header.output_dims))
        return self.arena[at : at + count].copy()

    def encode(self, frame: npt.NDArray[np.uint8]) -> Int8:
        """encode(): uint8[h, w, 3] to int8[dim]."""
        frame = np.ascontiguousarray(frame)
        out = np.zeros(self.header.output_dims[3], np.int8)
        height, width = frame.shape[:2]
        size = ctypes.c_size_t(self.arena.size)
        status = self.kernels.c.encode(
            ctypes.byref(self._model),
            pointer(frame),
            width,
            height,
            pointer(self.arena),
            size,
            pointer(out),
        )
        self.kernels.check(status)
        return out


def run_sanitized(kind: str, cases: list[bytes]) -> list[int]:
    """Open (and, if it opens, run) every case in a process with sanitizers.

    `kind` is "pack" or "set". Returns a status a case. A finding of a sanitizer fails the caller.
    """
    sources = [Path(__file__).with_name("damage.c"), FUZZ / "trials.c"]
    program = _compile("damage", [*_SANITIZE, f"-I{FUZZ}"], sources)
    stream = b"".join(struct.pack("<I", len(case)) + case for case in cases)
    result = subprocess.run([str(program), kind], input=stream, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-4000:]
    statuses = [int(line) for line in result.stdout.split()]
    assert len(statuses) == len(cases)
    return statuses
