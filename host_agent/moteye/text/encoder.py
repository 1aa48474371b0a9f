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

TOKENS = 24
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


class TextEncoder:
    """The text tower of one space. About 2 ms a text on one thread; others wait their turn."""

    def __init__(self, folder: Path) -> None:
        self._turn = threading.Lock()
        tower, tokenizer = folder / "text.tflite", folder / "tokenizer.json"
        for path in (tower, tokenizer):
            if not path.is_file():
                raise SpaceError(f"{path} is missing; the space `{folder.name}` is not whole")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=TOKENS)
        self._tokenizer.enable_padding(length=TOKENS)
        with quiet_stderr():
            self._interpreter = Interpreter(model_path=str(tower), num_threads=1)
            self._interpreter.allocate_tensors()
        inputs = self._interpreter.get_input_details()
        if [list(detail["shape"]) for detail in inputs] != [[1, TOKENS]] * 2:
            raise SpaceError(f"{tower}: two inputs of [1, {TOKENS}] are wanted (token ids, mask)")
        # The converter names the inputs in the order of the tower's arguments: token ids, then
        # mask.
        self._inputs = [d["index"] for d in sorted(inputs, key=lambda d: str(d["name"]))]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def encode(self, texts: list[str]) -> Float:
        """Texts → float32[B, 384], rows of length 1. A text longer than 24 tokens is cut."""
        rows = np.empty((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            tokens = self._tokenizer.encode(text)
            given = zip(self._inputs, (tokens.ids, tokens.attention_mask), strict=True)
            with self._turn:
                for index, values in given:
                    self._interpreter.set_tensor(index, np.array([values], np.int32))
                self._interpreter.invoke()
                rows[row] = self._interpreter.get_tensor(self._output)[0]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(norms, 1e-9), np.float32)
