"""AttSSM, the decoder: a map of the encoder and the words so far -> the next word.

After µVLM: the map is modulated by the hidden state (a bias on each position and channel, not
bounded), then channel by channel (a sigmoid of its mean); a selective state space of low rank reads
word and context; the word vectors are the output's rows, too. B = batch, P = positions, C = the
map's channels, D = width, N = states, R = rank, V = words, T = words of a sentence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

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
    """What a sentence has come to: the modulating vector [B, D] and the scan's state [B, D, N]."""

    hidden: Tensor
    scan: Tensor


class AttSSM(nn.Module):
    """map float[B, P, C] and words int[B, T] -> logits float[B, T, V] of each following word."""

    def __init__(self, size: DecoderSize, dropout: float = 0.0) -> None:
        super().__init__()
        d, n = size.width, size.states
        self.size, self.dropout = size, dropout
        self.words = nn.Embedding(size.words, d)
        self.word_bias = nn.Parameter(torch.zeros(size.words))
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
        nn.init.normal_(self.words.weight, std=self.size.width**-0.5)
        # softplus of the bias: how much of the scan a step renews, 5 to 50 %.
        start = torch.exp(torch.empty(self.size.width).uniform_(-3.0, -0.7))
        with torch.no_grad():
            self.step.bias.copy_(torch.log(torch.expm1(start)))

    def look(self, maps: Tensor) -> Tensor:
        """float[B, P, D] of maps float[B, P, C]: once a frame."""
        out: Tensor = self.view(maps) + self.places
        return F.dropout(out, self.dropout, self.training)

    def start(self, batch: int) -> State:
        """The state before the first word."""
        d, n = self.size.width, self.size.states
        device = self.words.weight.device
        return State(torch.zeros(batch, d, device=device), torch.zeros(batch, d, n, device=device))

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

    def logits(self, out: Tensor) -> Tensor:
        """float[…, V] of outputs float[…, D]; the unknown word is never said."""
        scores = F.linear(out, self.words.weight, self.word_bias)
        scores[..., UNKNOWN] = -1e4
        return scores

    def forward(self, maps: Tensor, said: Tensor) -> Tensor:
        """Logits of each next word, the right words before it given (said begins with END)."""
        seen, state, outs = self.look(maps), self.start(len(maps)), []
        vectors = F.dropout(self.words(said), self.dropout, self.training)
        for at in range(said.shape[1]):
            out, state = self.advance(seen, vectors[:, at], state)
            outs.append(out)
        return self.logits(F.dropout(torch.stack(outs, 1), self.dropout, self.training))


@torch.no_grad()
def greedy(model: AttSSM, maps: Tensor, longest: int) -> Tensor:
    """The likeliest word each time, int[B, longest], END behind the end."""
    seen, state = model.look(maps), model.start(len(maps))
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
    model: AttSSM, maps: Tensor, longest: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Drawn sentences int[B, longest] and the log-probability of each float[B], with gradient."""
    seen, state = model.look(maps), model.start(len(maps))
    word = torch.full((len(maps),), END)
    done = torch.zeros(len(maps), dtype=torch.bool)
    total, said = torch.zeros(len(maps)), []
    for _ in range(longest):
        out, state = model.advance(seen, model.words(word), state)
        logp = model.logits(out).log_softmax(1)
        word = torch.multinomial(logp.detach().exp(), 1, generator=generator)[:, 0]
        word = torch.where(done, END, word)
        total = total + torch.where(done, 0.0, logp.gather(1, word[:, None])[:, 0])
        done = done | (word == END)
        said.append(word)
    return torch.stack(said, 1), total
