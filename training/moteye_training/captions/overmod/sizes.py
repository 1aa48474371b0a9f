"""How large OverMod and its decoders are: t, s, b as published, and nano. No PyTorch.

Published: parameters of OverMod-t (5.2 M) and OverMod-b (18.1 M); int8 files of the whole µVLM-t,
s, b (13.8, 21.2, 29.6 MB), of the encoder b (21.4 MB) and the decoder b (8.2 MB), and of a decoder
LSTM + Bahdanau (9.3 MB); rank 2, fewer than 64 states. Not published, and chosen here so that these
figures are met: channels, depths and kernels, the size s (only its file is known), and where the
3.3 MB lie that encoder b has above its 18.1 M parameters: here in `fusion`, the blocks that bring
the maps of several stages to one grid and that belong to captions alone, less the classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

KARPATHY_WORDS = 9490
"""Words seen at least five times in COCO's training captions of Karpathy's split, and two more."""
CLASSES = 1000


@dataclass(frozen=True)
class EncoderSize:
    """OverMod. Stages 1 to 4 see 1/4, 1/8, 1/16 and 1/32 of the picture's `side`.

    `over` blocks of OverNet's stages, `mod` of ModNet's two; `kernel` of the static blocks by
    stage; `mixed` kernels of the dynamic ones; `fusion` static blocks behind the joined maps.
    """

    side: int
    channels: tuple[int, int, int, int]
    over: tuple[int, int, int, int]
    mod: tuple[int, int]
    kernel: tuple[int, int, int, int]
    mixed: tuple[int, ...]
    ratio: float
    fused: int
    fusion: int


@dataclass(frozen=True)
class Published:
    """A model's figures: parameters in millions, int8 files in MB; 0 where nothing is published."""

    encoder_parameters: float
    encoder_mb: float
    decoder_mb: float
    whole_mb: float


SEVEN = (7, 7, 7, 7)
ENCODERS = {
    "nano": EncoderSize(
        96, (24, 48, 96, 128), (1, 1, 2, 1), (2, 1), (5, 5, 5, 3), (3, 5), 2.0, 128, 0
    ),
    "t": EncoderSize(224, (48, 80, 160, 224), (2, 2, 4, 2), (6, 2), SEVEN, (5, 7), 3.0, 256, 4),
    "s": EncoderSize(224, (56, 112, 224, 320), (2, 2, 5, 2), (7, 3), SEVEN, (5, 7), 3.0, 384, 2),
    "b": EncoderSize(224, (64, 128, 264, 384), (3, 3, 6, 2), (9, 3), SEVEN, (5, 7), 3.0, 480, 2),
}
DECODER_WIDTH = {"nano": 160, "t": 512, "s": 544, "b": 576}
STATES = {"nano": 8, "t": 16, "s": 16, "b": 16}
LSTM_WIDTH = 512
"""Of the published LSTM + Bahdanau decoder: word vectors and cells alike."""
PUBLISHED = {
    "t": Published(5.2, 0, 0, 13.8),
    "s": Published(0, 0, 0, 21.2),
    "b": Published(18.1, 21.4, 8.2, 29.6),
}
