"""CIDEr-D of single sentences against prepared references: the reward of the last stage.

Vedantam, Zitnick and Parikh 2015, with clipped counts and a penalty on length (sigma 6), times 10:
what `pycocoevalcap` computes (a test compares), but document frequencies are counted once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Sentence = Sequence[int] | Sequence[str]
Grams = dict[tuple[object, ...], float]
ORDERS = 4
SIGMA = 6.0


def grams(sentence: Sentence) -> Counter[tuple[object, ...]]:
    """How often each run of 1 to 4 words stands in the sentence."""
    return Counter(
        tuple(sentence[at : at + n])
        for n in range(1, ORDERS + 1)
        for at in range(len(sentence) - n + 1)
    )


@dataclass(frozen=True)
class _Prepared:
    vectors: tuple[Grams, ...]  # one an order
    norms: tuple[float, ...]
    pairs: int  # runs of two words, the measure of length


class CiderD:
    """Scores sentences; document frequencies are those of the references of `photos`."""

    def __init__(self, photos: Sequence[Sequence[Sentence]]) -> None:
        self._frequency: Counter[tuple[object, ...]] = Counter()
        for references in photos:
            self._frequency.update({gram for said in references for gram in grams(said)})
        self._log_photos = math.log(len(photos))

    def prepare(self, sentence: Sentence) -> _Prepared:
        """A sentence's weighted runs."""
        vectors: list[Grams] = [{} for _ in range(ORDERS)]
        pairs = 0
        for gram, count in grams(sentence).items():
            weight = self._log_photos - math.log(max(1.0, self._frequency[gram]))
            vectors[len(gram) - 1][gram] = count * weight
            pairs += count if len(gram) == 2 else 0
        norms = tuple(math.sqrt(sum(x * x for x in vector.values())) for vector in vectors)
        return _Prepared(tuple(vectors), norms, pairs)

    def score(self, sentence: Sentence, references: Sequence[_Prepared]) -> float:
        """CIDEr-D of one sentence against its photo's references."""
        said = self.prepare(sentence)
        total = sum(_likeness(said, reference) for reference in references)
        return 10.0 * total / len(references)


def _likeness(said: _Prepared, reference: _Prepared) -> float:
    total = 0.0
    for n in range(ORDERS):
        product, theirs = 0.0, reference.vectors[n]
        for gram, weight in said.vectors[n].items():
            other = theirs.get(gram, 0.0)
            product += min(weight, other) * other
        if said.norms[n] and reference.norms[n]:
            product /= said.norms[n] * reference.norms[n]
        total += product
    penalty = math.exp(-((said.pairs - reference.pairs) ** 2) / (2 * SIGMA**2))
    return total * penalty / ORDERS
