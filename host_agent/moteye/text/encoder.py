"""Phrases → vectors of the embedding space.

By the int8 text tower (LiteRT) and the shipped projection.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from tokenizers import Tokenizer

from moteye.errors import SpaceError

LENGTHS = (12, 24)
"""Tokens, with [CLS] and [SEP], that the tower has a graph for: the shortest that holds a text."""
Float = npt.NDArray[np.float32]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep LiteRT's greeting off the terminal: it writes past Python and has no switch."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def signature(length: int) -> str:
    """The name of the graph for texts of so many tokens."""
    return f"tokens_{length}"


class TextEncoder:
    """The text tower of one space. About 4 ms a short text on one thread; others wait their turn.

    Raises SpaceError where the folder has no such tower.
    """

    def __init__(self, folder: Path) -> None:
        self._turn = threading.Lock()
        tower, tokenizer = folder / "text.tflite", folder / "tokenizer.json"
        for path in (tower, tokenizer):
            if not path.is_file():
                raise SpaceError(f"{path} is missing; the space `{folder.name}` is not whole")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=LENGTHS[-1])
        self._tokenizer.no_padding()
        with quiet_stderr():
            # Kept, for its graphs are gone with it.
            self._interpreter = Interpreter(model_path=str(tower), num_threads=1)
            signatures = self._interpreter.get_signature_list()
            if missing := [name for name in map(signature, LENGTHS) if name not in signatures]:
                raise SpaceError(
                    f"{tower}: no signature {', '.join(missing)}, of ids and mask int32[1, tokens]"
                )
            self._graphs = {
                length: self._interpreter.get_signature_runner(signature(length))
                for length in LENGTHS
            }

    def encode(self, texts: list[str]) -> Float:
        """Texts → float32[B, 384], rows of length 1. A text longer than 24 tokens is cut."""
        rows = np.empty((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            tokens = self._tokenizer.encode(text).ids
            length = next(each for each in LENGTHS if each >= len(tokens))
            ids, mask = np.zeros((2, 1, length), np.int32)
            ids[0, : len(tokens)], mask[0, : len(tokens)] = tokens, 1
            with self._turn:
                # The converter names the arguments in their order.
                rows[row] = self._graphs[length](args_0=ids, args_1=mask)["output_0"][0]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(norms, 1e-9), np.float32)
