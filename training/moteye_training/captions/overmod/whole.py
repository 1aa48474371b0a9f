"""Encoder and decoder as one model, which is trained like a decoder that reads pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..decoder import Decoder, DecoderSize, State
from ..rivals import DECODERS
from ..run import Learner
from .encoder import CaptionEncoder, OverMod
from .sizes import ENCODERS


class Whole(Decoder):
    """pictures float[B, S, S, 3] in [-1, 127/128] and words int[B, T] -> logits float[B, T, V]."""

    kind = "whole"

    def __init__(self, encoder: CaptionEncoder, decoder: Decoder) -> None:
        Learner.__init__(self)
        self.encoder, self.decoder, self.size = encoder, decoder, decoder.size

    @property
    def words(self) -> nn.Embedding:  # type: ignore[override]
        """The decoder's."""
        return self.decoder.words

    @property
    def dropout(self) -> float:  # type: ignore[override]
        """The decoder's."""
        return self.decoder.dropout

    @dropout.setter
    def dropout(self, share: float) -> None:
        self.decoder.dropout = share

    def about(self) -> dict[str, Any]:
        """What `load_whole` builds it from."""
        return {**self.encoder.encoder.about(), "decoder": self.decoder.about()}

    def look(self, maps: Tensor) -> Tensor:
        """What the decoder sees of pictures."""
        x = maps.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return self.decoder.look(self.encoder(x))

    def start(self, seen: Tensor) -> State:
        """The decoder's."""
        return self.decoder.start(seen)

    def advance(self, seen: Tensor, word: Tensor, state: State) -> tuple[Tensor, State]:
        """The decoder's."""
        return self.decoder.advance(seen, word, state)

    def logits(self, out: Tensor) -> Tensor:
        """The decoder's."""
        return self.decoder.logits(out)


def load_encoder(path: Path) -> OverMod:
    """The averaged OverMod of `classes`, without its auxiliary head, in evaluation mode."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    encoder = OverMod(ENCODERS[stored["encoder"]])
    encoder.load_state_dict(stored["average"])
    encoder.auxiliary = None
    return encoder.eval()


def load_whole(path: Path) -> Whole:
    """The averaged encoder and decoder of `together`, in evaluation mode."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    encoder = OverMod(ENCODERS[stored["encoder"]])
    encoder.auxiliary = None
    decoder = DECODERS[stored["decoder"]["kind"]](DecoderSize(**stored["decoder"]["size"]))
    model = Whole(CaptionEncoder(encoder), decoder)
    model.load_state_dict(stored["average"])
    return model.eval()
