"""The shipped text tower with its prompts. No PyTorch.

A phrase becomes the normalised mean of its prompts' MiniLM embeddings, float32[384]; in the
encoder's space it is (t - text_mean) @ rotation, float32[256].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from moteye.text.encoder import TextEncoder
from numpy.typing import NDArray

from .cache import write_whole

F32 = NDArray[np.float32]
WIDTH = 384
WORDS = Path("host_agent/moteye/space/fast")
"""Where text tower and projection lie in the checkout; all encoders share them."""
PROMPTS = (
    "{}",
    "a photo of {}",
    "a picture of {}",
    "there is {} in the picture",
    "a camera sees {}",
)
"""Templates of a phrase or a name; they fit with and without an article."""


def normalise(x: F32) -> F32:
    """Rows of length 1; a zero row stays zero."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9), np.float32)


class TextTower:
    """`text.tflite` with its tokenizer: texts -> float32[B, 384], rows of length 1."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "text.tflite"
        self._encoder = TextEncoder(folder)

    def encode(self, texts: Sequence[str]) -> F32:
        """Embeddings of the texts as they are, without prompts."""
        return self._encoder.encode(list(texts))

    def phrases(self, names: Sequence[str]) -> F32:
        """Embeddings of names or phrases, each the mean over PROMPTS."""
        texts = [prompt.format(name) for name in names for prompt in PROMPTS]
        return normalise(self.encode(texts).reshape(len(names), len(PROMPTS), WIDTH).mean(1))


class TextCache:
    """Embeddings of many texts, kept in one npz by the tower's hash; only new texts are run."""

    def __init__(self, tower: TextTower, path: Path) -> None:
        self._tower = tower
        self._path = path
        self._tag = hashlib.sha256(tower.path.read_bytes()).hexdigest()[:16]
        self._rows: dict[str, F32] = {}
        if path.exists():
            with np.load(path) as stored:
                if str(stored["tag"]) == self._tag:
                    vectors = stored["vectors"].astype(np.float32)
                    self._rows = dict(zip(stored["texts"].tolist(), vectors, strict=True))

    def add(self, texts: Iterable[str], prompted: bool) -> None:
        """Embed what is missing; `prompted` texts are names that go through PROMPTS."""
        prefix = "p:" if prompted else "t:"
        missing = [t for t in dict.fromkeys(texts) if prefix + t not in self._rows]
        if not missing:
            return
        rows = self._tower.phrases(missing) if prompted else self._tower.encode(missing)
        self._rows.update(zip((prefix + t for t in missing), rows, strict=True))
        keys = list(self._rows)
        vectors = np.stack([self._rows[k] for k in keys]).astype(np.float16)
        arrays = {"tag": np.array(self._tag), "texts": np.array(keys), "vectors": vectors}
        write_whole(self._path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]

    def get(self, texts: Sequence[str], prompted: bool) -> F32:
        """float32[len(texts), 384]; embeds what is missing."""
        self.add(texts, prompted)
        prefix = "p:" if prompted else "t:"
        rows = [self._rows[prefix + t] for t in texts]
        return normalise(np.stack(rows)) if rows else np.zeros((0, WIDTH), np.float32)
