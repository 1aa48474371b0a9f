"""The decoders that AttSSM is compared with, of as many parameters.

NIC (Vinyals et al. 2015): the mean of the map is an LSTM's first input. Bahdanau attention as in
Xu et al. 2015: the LSTM's state weighs the positions of the map before each word. Both have what
AttSSM has besides its recurrence: tied word vectors that begin where the text tower puts them, the
same view of the map, dropout, a layer norm before the words (without it they learn far slower). The
LSTM's width is what makes the counts equal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .decoder import AttSSM, Decoder, DecoderSize, State


class Nic(Decoder):
    """Show and tell: the picture is the word before the first one."""

    kind = "nic"

    def __init__(self, size: DecoderSize, dropout: float = 0.0, cells: int = 0) -> None:
        super().__init__(size, dropout)
        cells = cells or equal_cells(type(self), size)
        self.view = nn.Linear(size.channels, size.width)
        self.recur = nn.LSTMCell(size.width, cells)
        self.leave = nn.Linear(cells, size.width)
        self.norm = nn.LayerNorm(size.width)

    def look(self, maps: Tensor) -> Tensor:
        """float[B, 1, D]: the mean position."""
        out: Tensor = self.view(maps.mean(1, keepdim=True))
        return self.dropped(out)

    def start(self, seen: Tensor) -> State:
        """After the picture."""
        return State(*self.recur(seen[:, 0]))

    def advance(self, seen: Tensor, word: Tensor, state: State) -> tuple[Tensor, State]:
        """One word further."""
        state = State(*self.recur(word, (state.hidden, state.scan)))
        return self.norm(self.leave(state.hidden)), state


class LstmAttention(Decoder):
    """Show, attend and tell, with Bahdanau's additive attention."""

    kind = "lstm-attention"

    def __init__(self, size: DecoderSize, dropout: float = 0.0, cells: int = 0) -> None:
        super().__init__(size, dropout)
        cells = cells or equal_cells(type(self), size)
        d = size.width
        self.view = nn.Linear(size.channels, d)
        self.places = nn.Parameter(torch.zeros(size.positions, d))
        self.begin = nn.Linear(d, 2 * cells)
        self.ask = nn.Linear(cells, d, bias=False)
        self.weigh = nn.Linear(d, 1, bias=False)
        self.recur = nn.LSTMCell(2 * d, cells)
        self.leave = nn.Linear(cells, d)
        self.norm = nn.LayerNorm(d)

    def look(self, maps: Tensor) -> Tensor:
        """float[B, P, D]."""
        out: Tensor = self.view(maps) + self.places
        return self.dropped(out)

    def start(self, seen: Tensor) -> State:
        """What the mean position begins with."""
        return State(*torch.tanh(self.begin(seen.mean(1))).chunk(2, 1))

    def advance(self, seen: Tensor, word: Tensor, state: State) -> tuple[Tensor, State]:
        """One word further."""
        weight = self.weigh(torch.tanh(seen + self.ask(state.hidden)[:, None])).softmax(1)
        given = torch.cat((word, (weight * seen).sum(1)), 1)
        state = State(*self.recur(given, (state.hidden, state.scan)))
        return self.norm(self.leave(state.hidden)), state


DECODERS: dict[str, type[Decoder]] = {one.kind: one for one in (AttSSM, Nic, LstmAttention)}


def parameters(model: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(p.numel() for p in model.parameters())


def equal_cells(kind: type[Nic] | type[LstmAttention], size: DecoderSize) -> int:
    """The LSTM's width at which `kind` comes nearest to AttSSM's count of parameters.

    Raises ValueError where AttSSM is so small that no LSTM of 8 cells comes within 3 %.
    """
    with torch.device("meta"):
        aim = parameters(AttSSM(size))
        low, high = 8, 4096
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high) if parameters(kind(size, cells=middle)) <= aim else (low, middle - 1)
            )
        near = min((low, low + 1), key=lambda n: abs(parameters(kind(size, cells=n)) - aim))
        found = parameters(kind(size, cells=near))
    if abs(found - aim) > 0.03 * aim:
        raise ValueError(f"{kind.__name__} with {near} cells has {found} parameters, AttSSM {aim}")
    return near
