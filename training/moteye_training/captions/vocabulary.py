"""Words of the captioner: which there are, and sentences as their numbers.

0 ends a sentence (and begins one, as the word before the first), 1 stands for a word that is not
in the list and is never said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

END, UNKNOWN = 0, 1
LEAST_SEEN = 5
LONGEST = 18
"""Words of a caption; the 3 % that are longer are cut."""
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Words by number; `texts[0]` and `texts[1]` are empty."""

    def __init__(self, texts: Sequence[str]) -> None:
        if len(texts) < 3 or texts[END] or texts[UNKNOWN] or len(set(texts)) != len(texts) - 1:
            raise ValueError("a vocabulary is two empty texts, then words, each once")
        self.texts = tuple(texts)
        self._numbers = {text: at for at, text in enumerate(texts) if text}

    @classmethod
    def of(cls, captions: Iterable[str], least: int = LEAST_SEEN) -> Vocabulary:
        """The words seen at least `least` times, commonest first, among equals by the alphabet."""
        seen = Counter(word for caption in captions for word in words(caption))
        kept = sorted((w for w, n in seen.items() if n >= least), key=lambda w: (-seen[w], w))
        return cls(["", "", *kept])

    def __len__(self) -> int:
        return len(self.texts)

    def encode(self, text: str) -> list[int]:
        """Numbers of a text's first LONGEST words, without the end."""
        return [self._numbers.get(word, UNKNOWN) for word in words(text)[:LONGEST]]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers, up to the first end."""
        said: list[str] = []
        for number in numbers:
            if number == END:
                break
            said.append(self.texts[number])
        return " ".join(said)
