"""Caption packs with other words."""

from dataclasses import replace

import numpy as np
from moteye_training.captions.pack import CaptionPack


def with_words(pack: CaptionPack, words: list[bytes]) -> CaptionPack:
    """The pack with `words` behind the end and the unknown one; further ones are "x"."""
    given = [b"", b"", *words, *[b"x"] * (pack.sizes.words - 2 - len(words))]
    text = np.frombuffer(b"".join(given), np.uint8)
    text_at = np.concatenate(([0], np.cumsum([len(word) for word in given])))
    return replace(pack, arrays=pack.arrays | {"text": text, "text_at": text_at})
