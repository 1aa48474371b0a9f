"""AttSSM, the decoder: a map of the encoder and the words so far -> the next word.

After µVLM: the map is modulated by the hidden state (a bias on each position and channel, not
bounded), then channel by channel (a sigmoid of its mean); a selective state space of low rank reads
word and context; the word vectors are the output's rows, too. B = batch, P = positions, C = the
map's channels, D = width, N = states, R = rank, V = words, T = words of a sentence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .run import Learner
from .vocabulary import END, UNKNOWN


@dataclass(frozen=True)
class DecoderSize:
    """What a decoder is built from."""

    positions: int
    channels: int
    words: int
    width: int = 192
    states: int = 16
    rank: int = 2

    def as_dict(self) -> dict[str, int]:
        """Plain numbers, for a checkpoint."""
        return asdict(self)


@dataclass
class State:
    """What a sentence has come to.

    AttSSM: the modulating vector [B, D] and the scan's state [B, D, N]; an LSTM: what it gives and
    its cell, [B, cells] each.
    """

    hidden: Tensor
    scan: Tensor

    def take(self, rows: Tensor) -> State:
        """The states of these sentences, int[any]."""
        return State(self.hidden[rows], self.scan[rows])


class Decoder(Learner):
    """map float[B, P, C] and words int[B, T] -> logits float[B, T, V] of each following word.

    The word vectors are the output's rows, too; how a step is made is the subclass's.
    """

    kind: ClassVar[str]

    def __init__(self, size: DecoderSize, dropout: float = 0.0) -> None:
        super().__init__()
        self.size, self.dropout = size, dropout
        self.words = nn.Embedding(size.words, size.width)
        self.word_bias = nn.Parameter(torch.zeros(size.words))
        nn.init.normal_(self.words.weight, std=size.width**-0.5)

    def about(self) -> dict[str, Any]:
        """What `train.load_decoder` builds it from."""
        return {"kind": self.kind, "size": self.size.as_dict()}

    def look(self, maps: Tensor) -> Tensor:
        """What is computed of maps float[B, P, C] once a frame."""
        raise NotImplementedError

    def start(self, seen: Tensor) -> State:
        """The state before the first word of `look`'s result."""
        raise NotImplementedError

    def advance(self, seen: Tensor, word: Tensor, state: State) -> tuple[Tensor, State]:
        """A word (vectors float[B, D]) further: float[B, D] before the rows, and the state."""
        raise NotImplementedError

    def logits(self, out: Tensor) -> Tensor:
        """float[…, V] of outputs float[…, D]; the unknown word is never said."""
        scores = F.linear(out, self.words.weight, self.word_bias)
        scores[..., UNKNOWN] = -1e4
        return scores

    def dropped(self, x: Tensor) -> Tensor:
        """As F.dropout, in half the time on a processor."""
        if not self.training or not self.dropout:
            return x
        return x * (torch.rand(x.shape, device=x.device) >= self.dropout) / (1 - self.dropout)

    def outputs(self, maps: Tensor, said: Tensor) -> Tensor:
        """float[B, T, D]: what each next word is told from, the right words before it given.

        `said` int[B, T] begins with END.
        """
        seen, outs = self.look(maps), []
        state = self.start(seen)
        vectors = self.dropped(self.words(said))
        for at in range(said.shape[1]):
            out, state = self.advance(seen, vectors[:, at], state)
            outs.append(out)
        return self.dropped(torch.stack(outs, 1))

    def forward(self, maps: Tensor, said: Tensor) -> Tensor:
        """Logits of each next word."""
        return self.logits(self.outputs(maps, said))


class AttSSM(Decoder):
    """The decoder that ships."""

    kind = "attssm"

    def __init__(self, size: DecoderSize, dropout: float = 0.0) -> None:
        super().__init__(size, dropout)
        d, n = size.width, size.states
        self.view = nn.Linear(size.channels, d)
        self.places = nn.Parameter(torch.zeros(size.positions, d))
        self.spatial = nn.Linear(d, d, bias=False)
        self.channel = nn.Linear(d, d)
        self.enter = nn.Linear(2 * d, 2 * d)
        self.select = nn.Linear(d, size.rank + 2 * n, bias=False)
        self.step = nn.Linear(size.rank, d)
        self.decay = nn.Parameter(torch.log(torch.arange(1, n + 1).float()).repeat(d, 1))
        self.skip = nn.Parameter(torch.ones(d))
        self.leave = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self._begin()

    def _begin(self) -> None:
        # softplus of the bias: how much of the scan a step renews, 5 to 50 %.
        start = torch.exp(torch.empty(self.size.width).uniform_(-3.0, -0.7))
        with torch.no_grad():
            self.step.bias.copy_(torch.log(torch.expm1(start)))

    def look(self, maps: Tensor) -> Tensor:
        """float[B, P, D] of maps float[B, P, C]: once a frame."""
        out: Tensor = self.view(maps) + self.places
        return self.dropped(out)

    def start(self, seen: Tensor) -> State:
        """Zeros."""
        batch, d = len(seen), self.size.width
        return State(seen.new_zeros(batch, d), seen.new_zeros(batch, d, self.size.states))

    def context(self, seen: Tensor, hidden: Tensor) -> Tensor:
        """float[B, D]: what the hidden state picks from seen float[B, P, D]."""
        picked = F.hardswish(seen + self.spatial(hidden)[:, None]).mean(1)
        modulated: Tensor = picked * torch.sigmoid(self.channel(picked))
        return modulated

    def scan(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Output float[B, D] and next state of one step of the selective scan on u float[B, D]."""
        rank, n = self.size.rank, self.size.states
        low, b, c = self.select(u).split((rank, n, n), dim=1)
        dt = F.softplus(self.step(low))
        kept = torch.exp(-dt[:, :, None] * self.decay.exp())
        state = kept * state + (dt * u)[:, :, None] * b[:, None]
        return (state * c[:, None]).sum(2) + self.skip * u, state

    def advance(self, seen: Tensor, word: Tensor, state: State) -> tuple[Tensor, State]:
        """One word further: output float[B, D] before the tied rows, and the state after it.

        word float[B, D] is the vector of the word before.
        """
        context = self.context(seen, state.hidden)
        u, gate = self.enter(torch.cat((word, context), 1)).chunk(2, dim=1)
        y, scanned = self.scan(F.hardswish(u), state.scan)
        y = self.leave(y * F.hardswish(gate))
        out = self.norm(word + context + y)
        return out, State(out, scanned)


@torch.no_grad()
def greedy(model: Decoder, maps: Tensor, longest: int) -> Tensor:
    """The likeliest word each time, int[B, longest], END behind the end."""
    seen = model.look(maps)
    state = model.start(seen)
    word = torch.full((len(maps),), END, device=maps.device)
    done = torch.zeros(len(maps), dtype=torch.bool, device=maps.device)
    said = []
    for _ in range(longest):
        out, state = model.advance(seen, model.words(word), state)
        word = model.logits(out).argmax(1)
        word = torch.where(done, END, word)
        done |= word == END
        said.append(word)
    return torch.stack(said, 1)


def sample(
    model: Decoder, maps: Tensor, longest: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Drawn sentences int[B, longest] and the log-probability of each float[B], with gradient."""
    seen = model.look(maps)
    state = model.start(seen)
    word = torch.full((len(maps),), END, device=maps.device)
    done = torch.zeros(len(maps), dtype=torch.bool, device=maps.device)
    total, said = torch.zeros(len(maps), device=maps.device), []
    for _ in range(longest):
        out, state = model.advance(seen, model.words(word), state)
        logp = model.logits(out).log_softmax(1)
        word = torch.multinomial(logp.detach().exp(), 1, generator=generator)[:, 0]
        word = torch.where(done, END, word)
        total = total + torch.where(done, 0.0, logp.gather(1, word[:, None])[:, 0])
        done = done | (word == END)
        said.append(word)
    return torch.stack(said, 1), total
