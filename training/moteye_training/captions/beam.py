"""Beam search of a float decoder over many maps at once; it decides as `integer.caption` does.

K = beams, V = words.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .decoder import Decoder
from .evaluate import BEAMS
from .vocabulary import END, LONGEST, Vocabulary

BATCH = 128


@torch.no_grad()
def beam(
    model: Decoder, maps: Tensor, beams: int, longest: int = LONGEST
) -> list[tuple[list[int], float]]:
    """(words without the end, log-probability in nats with it) of each map of float[B, P, C].

    Of all sentences that ended the best mean a word wins; open ones count as ended at `longest`.
    """
    batch = len(maps)
    seen = model.look(maps)
    state = model.start(seen)
    first = torch.arange(batch, device=maps.device).repeat_interleave(beams)
    seen, state = seen[first], state.take(first)
    word = torch.full((batch * beams,), END, device=maps.device)
    total = torch.full((batch, beams), -torch.inf, dtype=torch.float64, device=maps.device)
    total[:, 0] = 0
    said: list[list[list[int]]] = [[[] for _ in range(beams)] for _ in range(batch)]
    ended: list[list[tuple[list[int], float]]] = [[] for _ in range(batch)]
    for _ in range(longest):
        out, state = model.advance(seen, model.words(word), state)
        best, which = model.logits(out).double().log_softmax(1).topk(beams, 1)
        found = (total.reshape(-1, 1) + best).reshape(batch, beams * beams)
        order = found.argsort(dim=1, descending=True, stable=True)
        rows, numbers, totals = _chosen(order, found, which.reshape(batch, -1), said, ended, beams)
        total = torch.tensor(totals, dtype=torch.float64, device=maps.device).reshape(batch, beams)
        if all(len(several) == beams for several in ended):
            break
        word = torch.tensor(numbers, device=maps.device)
        state = state.take(torch.tensor(rows, device=maps.device))
    for at, several in enumerate(ended):
        left = zip(said[at], total[at].tolist(), strict=True)
        several += [(words, logp) for words, logp in left if logp > -torch.inf]
    # Of equals the first: max keeps it.
    return [max(several, key=lambda one: one[1] / (len(one[0]) + 1)) for several in ended]


def _chosen(
    order: Tensor, found: Tensor, which: Tensor, said: list[list[list[int]]],
    ended: list[list[tuple[list[int], float]]], beams: int,
) -> tuple[list[int], list[int], list[float]]:  # fmt: skip
    """Rows, words and totals that go on; what ends is put aside, and its place stays empty."""
    rows: list[int] = []
    numbers: list[int] = []
    totals: list[float] = []
    for at, (places, values, words) in enumerate(
        zip(order.tolist(), found.tolist(), which.tolist(), strict=True)
    ):
        open_: list[list[int]] = []
        kept = [p for p in places[: beams - len(ended[at])] if values[p] > -torch.inf]
        for place in kept:
            before, number = said[at][place // beams], words[place]
            if number == END:
                ended[at].append((before, values[place]))
                continue
            open_.append([*before, number])
            rows.append(at * beams + place // beams)
            numbers.append(number)
            totals.append(values[place])
        empty = beams - len(open_)
        rows += [at * beams] * empty
        numbers += [END] * empty
        totals += [-torch.inf] * empty
        said[at] = open_ + [[] for _ in range(empty)]
    return rows, numbers, totals


def float_captions(
    model: Decoder, vocabulary: Vocabulary, maps: Tensor, beams: int = BEAMS
) -> list[str]:
    """The sentence of each map float[N, P, C]; the model must be in evaluation mode."""
    found = [one for part in maps.split(BATCH) for one in beam(model, part, beams)]
    return [vocabulary.decode(words) for words, _ in found]
