"""How near integer decoders come to the float chain, word by word.

Scores of sentences tell two roundings apart only when words change, and a thousand photos are few
for that. Here every chain is given the same sentences of people, and its distribution of each next
word is compared with the float chain's. V = words, T = words of a sentence, its end among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .decoder import Decoder
from .integer import IntDecoder
from .tap import I8
from .vocabulary import END, UNKNOWN

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Of N sentences, float64[N] each: words, and sums over these.

    `divergence` from the float chain (Kullback-Leibler, nats), likeliest word the `same`, `loss` in
    nats.
    """

    words: F64
    divergence: F64
    same: F64
    loss: F64

    def figures(self) -> dict[str, float]:
        """Means a word; `same_percent` x 100."""
        count = self.words.sum()
        return {
            "divergence": round(float(self.divergence.sum() / count), 6),
            "same_percent": round(100 * float(self.same.sum() / count), 3),
            "loss": round(float(self.loss.sum() / count), 5),
        }


def float_words(model: Decoder, maps: Tensor, said: Sequence[Sequence[int]]) -> Iterator[F32]:
    """log-probabilities float32[T, V] of each next word of sentences without their ends."""
    for one, numbers in zip(maps, said, strict=True):
        with torch.no_grad():
            logits = model(one[None], torch.tensor([[END, *numbers]]))[0]
        yield logits.log_softmax(1).numpy()


def integer_words(decoder: IntDecoder, maps: I8, said: Sequence[Sequence[int]]) -> Iterator[F32]:
    """The same of the integer reference, on int8 maps."""
    for one, numbers in zip(maps, said, strict=True):
        seen, state = decoder.look(one), decoder.start()
        rows = np.empty((len(numbers) + 1, decoder.pack.sizes.words), np.float32)
        for row, number in zip(rows, (END, *numbers), strict=True):
            state = decoder.advance(seen, number, state)
            scores = decoder.logits(state.hidden) / 1024
            scores -= scores.max()
            row[:] = scores - np.log(np.exp(scores).sum())
        yield rows


def agreement(
    truth: Iterable[F32], other: Iterable[F32], said: Sequence[Sequence[int]]
) -> Agreement:
    """Of `other` with `truth`; the unknown word is never said, and where it was wanted none is."""
    rows = []
    for real, near, numbers in zip(truth, other, said, strict=True):
        wanted = np.array([*numbers, END])
        at = np.flatnonzero(wanted != UNKNOWN)
        known = np.arange(real.shape[1]) != UNKNOWN
        p, q = real[at][:, known].astype(np.float64), near[at][:, known].astype(np.float64)
        divergence = (np.exp(p) * (p - q)).sum()
        rows.append(
            (len(at), divergence, (p.argmax(1) == q.argmax(1)).sum(), -near[at, wanted[at]].sum())
        )
    return Agreement(*np.array(rows, np.float64).T)


def difference(one: Agreement, other: Agreement) -> dict[str, float]:
    """Divergence of `one` less that of `other`, with 95 % of paired resamples of the photos."""
    rng, count = np.random.default_rng(1), len(one.words)
    gain = one.divergence - other.divergence
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, count, count)
        means.append(gain[drawn].sum() / one.words[drawn].sum())
    low, high = np.quantile(means, (0.025, 0.975))
    mean = gain.sum() / one.words.sum()
    return {
        "mean": round(float(mean), 6), "low": round(float(low), 6), "high": round(float(high), 6)
    }  # fmt: skip
