"""The written integer reference of the decoder: what every kernel computes, bit for bit.

Between products values are int16 in Q10 (saturated), products take int8; the scan's state is int16
with `state_bits` fraction bits. Rounding is half up everywhere. D = width, N = states, P =
positions, V = words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pack import PRODUCTS, CaptionPack
from .vocabulary import END, UNKNOWN

I64 = NDArray[np.int64]
LN2_Q16 = 45426
LOG2E_Q10 = 1477
NEVER = -(2**31)


def scaled(x: Any, multiplier: Any, shift: Any) -> I64:
    """X * multiplier / 2^(31 - shift), half up."""
    right = 31 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    return np.asarray((product + (np.int64(1) << (right - 1))) >> right, np.int64)


def half_up(x: Any, bits: int) -> I64:
    """X / 2^bits, half up."""
    return np.asarray((np.asarray(x, np.int64) + (1 << (bits - 1))) >> bits, np.int64)


def sat16(x: Any) -> I64:
    """Held within int16."""
    return np.clip(np.asarray(x, np.int64), -32768, 32767)


def hardswish(v: I64) -> I64:
    """X * relu6(x + 3) / 6 of Q10 values."""
    share = (np.clip(v + 3072, 0, 6144) * 10923 + 32768) >> 16
    return half_up(v * share, 10)


def table_at(v: I64) -> I64:
    """Entry of a table over [-8, 8) for Q10 values."""
    return np.asarray((np.clip(v, -8192, 8191) + 8192) >> 4, np.int64)


def isqrt(x: int) -> int:
    """Floor of the square root of a uint32."""
    root, bit = 0, 1 << 30
    while bit:
        if x >= root + bit:
            x -= root + bit
            root = (root >> 1) + bit
        else:
            root >>= 1
        bit >>= 2
    return root


def layer_norm(r: I64) -> I64:
    """(r - mean) / standard deviation in Q12, of Q10 values held within +-2^17."""
    d = len(r)
    total = int(r.sum())
    centred = np.clip(r - (2 * total + d) // (2 * d), -65535, 65535)
    variance = int((centred * centred).sum()) // d
    if variance == 0:
        return np.zeros(d, np.int64)
    variance = min(variance, 2**32 - 1)
    up = (32 - variance.bit_length()) & ~1
    root = isqrt(variance << up)
    inverse = (1 << 31) // root
    return sat16(half_up(centred * inverse, 19 - up // 2))


@dataclass
class IntState:
    """A sentence's state: hidden int8[D] and scan int16[D, N], kept as int64."""

    hidden: I64
    scan: I64


class IntDecoder:
    """The decoder of a pack, in integers."""

    def __init__(self, pack: CaptionPack) -> None:
        self.pack = pack
        self._a = {name: value.astype(np.int64) for name, value in pack.arrays.items()}
        # Sums of int8 products are exact in float64, whose matrix products are many times faster.
        self._matrices = {
            name: pack.arrays[f"{name}.weight"].astype(np.float64).T for name in PRODUCTS
        }
        self._words = pack.arrays["words"].astype(np.float64)

    def _product(self, name: str, x: I64) -> I64:
        """int16 Q10 of int8 x [..., columns]."""
        a = self._a
        acc = (x.astype(np.float64) @ self._matrices[name]).astype(np.int64) + a[f"{name}.bias"]
        return sat16(scaled(acc, a[f"{name}.multiplier"], a[f"{name}.shift"]))

    def _int8(self, name: str, x: I64) -> I64:
        return np.clip(scaled(x, *self.pack.factors[name]), -127, 127)

    def look(self, maps: NDArray[np.int8]) -> I64:
        """Q10 [P, D] of a map int8[P, C]: once a frame."""
        return sat16(self._product("view", maps.astype(np.int64)) + self._a["places"])

    def start(self) -> IntState:
        """The state before the first word."""
        s = self.pack.sizes
        return IntState(np.zeros(s.width, np.int64), np.zeros((s.width, s.states), np.int64))

    def context(self, seen: I64, hidden: I64) -> I64:
        """Q10 [D]: what the hidden state picks."""
        p = self.pack.sizes.positions
        total = hardswish(seen + self._product("spatial", hidden)).sum(0)
        picked = sat16((2 * total + p) // (2 * p))
        channel = self._product("channel", self._int8("picked", picked))
        return half_up(picked * self._a["sigmoid"][table_at(channel)], 15)

    def scan(self, u: I64, state: I64) -> tuple[I64, I64]:
        """Q10 [D] and the next state, of u Q10 [D]."""
        a, s, bits = self._a, self.pack.sizes, self.pack.state_bits
        chosen = self._product("select", self._int8("scan_in", u))
        low, b, c = np.split(chosen, (s.rank, s.rank + s.states))
        step = sat16(half_up((a["step.weight"] * low).sum(1), 12) + a["step.bias"])
        dt = a["softplus"][table_at(step)]
        exponent = (dt[:, None] * a["decay"] + 2048) >> 12
        whole = np.minimum(exponent >> 8, 31)
        kept = a["exp2"][exponent & 255] >> whole
        entered = sat16(half_up(dt * u, 12))
        state = sat16(half_up(kept * state, 15) + half_up(entered[:, None] * b[None], 20 - bits))
        y = half_up((state * c[None]).sum(1), bits) + half_up(a["skip"] * u, 12)
        return sat16(y), state

    def word(self, number: int) -> I64:
        """int8 [D] of a word, at the scale that all words share."""
        a = self._a
        return half_up(a["words"][number] * a["gain"][number], 15)

    def advance(self, seen: I64, number: int, state: IntState) -> IntState:
        """The state after a word; its `hidden` is what the logits are made of."""
        a = self._a
        word, context = self.word(number), self.context(seen, state.hidden)
        given = np.concatenate((word, self._int8("context", context)))
        u, gate = np.split(sat16(hardswish(self._product("enter", given))), 2)
        y, scanned = self.scan(u, state.scan)
        y = self._product("leave", self._int8("scan_out", sat16(half_up(y * gate, 10))))
        out = layer_norm(scaled(word, *self.pack.factors["word"]) + context + y)
        out = half_up(out * a["gamma"], 14) + a["beta"]
        return IntState(self._int8("out", out), scanned)

    def logits(self, hidden: I64) -> I64:
        """Q10 [V]; the unknown word is NEVER."""
        a = self._a
        acc = (self._words @ hidden.astype(np.float64)).astype(np.int64)
        acc = half_up(acc * a["gain"], 15)
        scores = scaled(acc, *self.pack.factors["logit"]) + a["word_bias"]
        scores[UNKNOWN] = NEVER
        return scores

    def log_sum(self, scores: I64) -> int:
        """Ln of the sum of exp(score), Q10."""
        best = int(scores.max())
        exponent = ((best - scores[scores > NEVER]) * LOG2E_Q10 + 2048) >> 12
        exponent = np.minimum(exponent, (31 << 8) | 255)
        total = int((self._a["exp2"][exponent & 255] >> (exponent >> 8)).sum())
        top = total.bit_length() - 1
        fraction = ((total << 8) >> top) & 255
        log2_q12 = ((top - 15) << 12) + int(self._a["log2"][fraction])
        return best + ((log2_q12 * LN2_Q16 + (1 << 17)) >> 18)


@dataclass
class Said:
    """A sentence: words without the end, log-probability with it (Q10)."""

    words: list[int]
    logp_q10: int


def caption(decoder: IntDecoder, maps: NDArray[np.int8], beams: int) -> Said:
    """The sentence of a map by beam search; 1 beam is greedy.

    Each step extends every open sentence by its best words, keeps the `beams` best by sum of
    log-probability (earlier ones first among equals), and puts aside what ended. Of all ended ones
    the best mean a word wins; what is open after `longest` words counts as ended.
    """
    seen = decoder.look(maps)
    open_: list[tuple[int, list[int], IntState, int]] = [(0, [], decoder.start(), END)]
    ended: list[Said] = []
    for _ in range(decoder.pack.sizes.longest):
        found: list[tuple[int, int, int]] = []
        states: list[IntState] = []
        for at, (total, _, state, last) in enumerate(open_):
            state = decoder.advance(seen, last, state)
            states.append(state)
            scores = decoder.logits(state.hidden)
            norm = decoder.log_sum(scores)
            order = np.argsort(-scores, kind="stable")[:beams]
            found += [(total + int(scores[w]) - norm, at, int(w)) for w in order]
        found.sort(key=lambda f: -f[0])
        nearest = []
        for total, at, word in found[: beams - len(ended)]:
            if word == END:
                ended.append(Said(open_[at][1], total))
            else:
                nearest.append((total, [*open_[at][1], word], states[at], word))
        open_ = nearest
        if not open_:
            break
    ended += [Said(words, total) for total, words, _, _ in open_]
    best = ended[0]
    for other in ended[1:]:
        # Means compared without a division; the end counts as a word.
        if other.logp_q10 * (len(best.words) + 1) > best.logp_q10 * (len(other.words) + 1):
            best = other
    return best
