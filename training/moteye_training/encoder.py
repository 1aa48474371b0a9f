"""The shipped encoder file, run through LiteRT's reference kernels. No PyTorch."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from .augment import area_shrink
from .cache import one_thread
from .space import EMBEDDING

U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]


class Encoder:
    """The encoder file: uint8[S, S, 3] -> int8[N], the embedding and what stands behind it.

    `reference` runs TFLite's reference kernels, bit for bit what the device computes; without it
    XNNPACK runs, 10 times faster, and differs by up to some steps.
    """

    def __init__(self, path: Path, reference: bool = True) -> None:
        resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        self._runner = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
        self._runner.allocate_tensors()
        given, out = self._runner.get_input_details()[0], self._runner.get_output_details()[0]
        if given["quantization"] != (1 / 128, 0) or out["quantization"][1] != 0:
            raise ValueError(f"{path}: input must be pixel - 128 and output symmetric")
        self._input, self._output = given["index"], out["index"]
        self.side = int(given["shape"][1])
        """S, the pixels a side."""
        self.width = int(out["shape"][-1])
        """N, the values that a picture gives."""

    def __call__(self, pixels: U8) -> I8:
        """All that one picture gives."""
        signed = (pixels.astype(np.int16) - 128).astype(np.int8)
        self._runner.set_tensor(self._input, signed[None])
        self._runner.invoke()
        return np.array(self._runner.get_tensor(self._output)[0], np.int8)

    def many(self, pixels: U8) -> I8:
        """Embeddings int8[N, 256] of uint8[N, S, S, 3], or of larger squares."""
        return np.stack([self(one)[:EMBEDDING] for one in area_shrink(pixels, self.side)])


def split_work(
    function: Callable[..., Any], items: Sequence[Any], *arguments: Any, workers: int = 2
) -> NDArray[Any]:
    """function(items[part], *arguments) -> array, in `workers` processes; parts joined in order."""
    parts = [items[slice(*bounds)] for bounds in _bounds(len(items), workers)]
    if workers < 2 or len(items) < 2 * workers:
        return np.asarray(function(items, *arguments))
    with mp.get_context("spawn").Pool(workers, one_thread) as pool:
        results = pool.starmap(function, [(part, *arguments) for part in parts])
    return np.concatenate(results)


def _bounds(count: int, parts: int) -> list[tuple[int, int]]:
    edges = [count * part // parts for part in range(parts + 1)]
    return list(pairwise(edges))


def encode_pixels(pixels: U8, path: Path, reference: bool = True) -> I8:
    """Module-level form of Encoder.many, so that processes can call it."""
    return Encoder(path, reference).many(pixels)
