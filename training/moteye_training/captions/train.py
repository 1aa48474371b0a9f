"""Stages of the decoder's training on a frozen encoder: words given, then CIDEr-D as reward.

Each stage writes `OUT/NAME.pt` (weights, averaged weights, optimiser, step) every so often and goes
on from there; the same seed and step give the same batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..data import Photo, is_validation
from .cider import CiderD
from .decoder import Decoder, DecoderSize, greedy, sample
from .rivals import DECODERS
from .run import Options, Run
from .sentences import Sentences, batches, padded
from .tap import I8, Tap
from .vocabulary import END, LONGEST, UNKNOWN, Vocabulary

MAX_VIEWS = 8


@dataclass
class Maps:
    """Maps of photos' views: rows int64[photos, MAX_VIEWS], `count` of them known each."""

    maps: I8
    tap: Tap
    rows: np.ndarray
    count: np.ndarray

    @classmethod
    def of(
        cls, maps: I8, tap: Tap, places: dict[tuple[str, int], int], keys: Sequence[str]
    ) -> Maps:
        """Rows of the given photos, in their order."""
        rows = np.zeros((len(keys), MAX_VIEWS), np.int64)
        count = np.zeros(len(keys), np.int64)
        for at, key in enumerate(keys):
            found = [places[key, v] for v in range(MAX_VIEWS) if (key, v) in places]
            rows[at, : len(found)], count[at] = found, len(found)
        return cls(maps, tap, rows, count)

    def take(self, photos: np.ndarray, rng: np.random.Generator | None) -> Tensor:
        """float[B, P, C] of the photos: a view by chance, the whole photo without `rng`."""
        view = 0 if rng is None else rng.integers(0, self.count[photos])
        return real(self.maps[self.rows[photos, view]], self.tap)


def real(maps: I8, tap: Tap) -> Tensor:
    """What int8 maps stand for."""
    values = torch.from_numpy(np.array(maps)).float()
    return (values - tap.zero_point) * tap.scale


def word_vectors(vocabulary: Vocabulary, embed: np.ndarray, width: int) -> np.ndarray:
    """float32[V, width]: the text tower's vectors of the words on their main axes, of length 1."""
    centred = embed - embed.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    placed = centred @ axes[:width].T
    placed = np.pad(placed, ((0, 0), (0, width - placed.shape[1])))
    return (placed / np.linalg.norm(placed, axis=1, keepdims=True).clip(1e-6)).astype(np.float32)


class HoldOut:
    """Photos kept from training: loss of their captions, CIDEr-D where there are five."""

    def __init__(
        self, photos: Sequence[Photo], vocabulary: Vocabulary, maps: I8, tap: Tap,
        places: dict[tuple[str, int], int],
    ) -> None:  # fmt: skip
        kept = [p for p in photos if is_validation(p) and p.captions]
        self._maps = real(maps[[places[p.key, 0] for p in kept]], tap)
        encoded = [[vocabulary.encode(text) for text in p.captions] for p in kept]
        self._said = [(at, numbers) for at, several in enumerate(encoded) for numbers in several]
        five = [
            [vocabulary.encode(text) for text in p.captions] for p in photos if len(p.captions) >= 5
        ]
        self._cider = CiderD(five)
        self._five = [
            (at, [self._cider.prepare(n) for n in several])
            for at, several in enumerate(encoded)
            if len(several) >= 5
        ]

    @torch.no_grad()
    def __call__(self, model: Decoder) -> dict[str, float]:
        """`loss` a word in nats, `ciderd` x 100 of the likeliest words."""
        was = model.training
        model.eval()
        device = model.words.weight.device
        words = torch.from_numpy(padded([numbers for _, numbers in self._said])).to(device)
        length = torch.tensor([len(numbers) for _, numbers in self._said], device=device)
        maps = self._maps.to(device)
        seen = maps[torch.tensor([at for at, _ in self._said])]
        total = count = 0.0
        for part in torch.arange(len(words)).split(256):
            loss, several = caption_loss(model, seen[part], words[part], length[part], 0.0)
            total += float(loss) * several
            count += several
        said = greedy(model, maps[torch.tensor([at for at, _ in self._five])], LONGEST)
        scores = [
            self._cider.score([w for w in row.tolist() if w != END], references)
            for row, (_, references) in zip(said, self._five, strict=True)
        ]
        model.train(was)
        return {"loss": total / count, "ciderd": 100 * float(np.mean(scores))}


def caption_loss(
    model: Decoder, maps: Tensor, words: Tensor, length: Tensor, smoothing: float
) -> tuple[Tensor, int]:
    """Mean cross-entropy a word of words int[B, LONGEST], and how many words count."""
    longest = min(int(length.max()) + 1, LONGEST)
    wanted = words[:, :longest]
    given = F.pad(wanted[:, :-1], (1, 0), value=END)
    places = torch.arange(longest, device=words.device)[None]
    counts = (places <= length[:, None]) & (wanted != UNKNOWN)
    # Only of what counts, and its softmax once: the scores of all words are a third of a step.
    logp = model.logits(model.outputs(maps, given)[counts]).log_softmax(1)
    loss = F.nll_loss(logp, wanted[counts])
    if smoothing:
        # The unknown word's score is a constant -1e4: it takes no part in the smoothing.
        spread = (logp.sum(1) - logp[:, UNKNOWN]) / (logp.shape[1] - 1)
        loss = (1 - smoothing) * loss - smoothing * spread.mean()
    return loss, int(counts.sum())


def teach_words(
    model: Decoder, sentences: Sentences, maps: Maps, hold_out: HoldOut, options: Options,
    folder: Path, minutes: float = 0,
) -> Decoder:  # fmt: skip
    """Each next word, the right ones before it given; returns the averaged model.

    `minutes` of this call at most; 0: no limit.
    """
    torch.manual_seed(options.seed)
    run = Run(model, options, folder)
    model.dropout = options.dropout
    model.train()
    source = batches(sentences, options.batch, options.seed * 1_000_003 + run.step)
    rng, device = np.random.default_rng(options.seed + run.step), model.words.weight.device
    started = time.monotonic()
    while run.step < options.steps:
        chosen = next(source)
        seen = maps.take(sentences.photo[chosen], rng).to(device)
        words = torch.from_numpy(sentences.words[chosen]).to(device)
        length = torch.from_numpy(sentences.length[chosen]).to(device)
        loss, _ = caption_loss(model, seen, words, length, options.smoothing)
        if run.learn(loss, hold_out, started, minutes):
            break
    return run.average


def ended(said: list[int]) -> list[int]:
    """A sentence up to and with its end: that it ends well is part of the reward."""
    return said[: said.index(END) + 1] if END in said else said


class Rewarded:
    """Photos with five captions, prepared for the reward; `photos` are their places in `keys`."""

    def __init__(
        self, photos: Sequence[Photo], vocabulary: Vocabulary, keys: Sequence[str]
    ) -> None:
        place = {key: at for at, key in enumerate(keys)}
        kept = [p for p in photos if len(p.captions) >= 5 and p.key in place]
        said = [[[*vocabulary.encode(text), END] for text in p.captions] for p in kept]
        self.cider = CiderD(said)
        self.photos = np.array([place[p.key] for p in kept])
        self.references = [[self.cider.prepare(n) for n in several] for several in said]


def teach_reward(
    model: Decoder, rewarded: Rewarded, maps: Maps, hold_out: HoldOut, options: Options,
    folder: Path, draws: int = 4, minutes: float = 0,
) -> Decoder:  # fmt: skip
    """Self-critical: a drawn sentence counts by its CIDEr-D above that of its photo's others.

    `minutes` of this call at most; 0: no limit.
    """
    torch.manual_seed(options.seed)
    run = Run(model, options, folder)
    model.dropout = options.dropout
    model.train()
    rng = np.random.default_rng(options.seed + run.step)
    device = model.words.weight.device
    generator = torch.Generator(device).manual_seed(options.seed + run.step)
    started = time.monotonic()
    photos = options.batch // draws
    while run.step < options.steps:
        chosen = rng.integers(0, len(rewarded.photos), photos)
        seen = maps.take(rewarded.photos[chosen], rng).to(device).repeat_interleave(draws, 0)
        said, logp = sample(model, seen, LONGEST, generator)
        scores = np.array(
            [
                rewarded.cider.score(ended(row), rewarded.references[chosen[at // draws]])
                for at, row in enumerate(said.tolist())
            ]
        ).reshape(photos, draws)
        others = (scores.sum(1, keepdims=True) - scores) / (draws - 1)
        advantage = torch.from_numpy((scores - others).reshape(-1)).float().to(device)
        loss, told = -(advantage * logp).mean(), ("reward", 100 * float(scores.mean()))
        if run.learn(loss, hold_out, started, minutes, told):
            break
    return run.average


def load_decoder(path: Path) -> Decoder:
    """The averaged decoder of a stage's file, in evaluation mode."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    model = DECODERS[stored.get("kind", "attssm")](DecoderSize(**stored["size"]))
    model.load_state_dict(stored["average"])
    return model.eval()
