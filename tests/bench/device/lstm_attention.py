"""The definition of lstm_attention.h in integers, and random numbers for it.

D = width, P = positions, V = words, as in moteye_training.captions.integer, whose arithmetic this
uses; the decoder is `rivals.LstmAttention` of the training with as many cells as D.
"""

from dataclasses import dataclass

import numpy as np
from caption_library import random_pack
from moteye_training.captions.integer import (
    I64,
    LOG2E_Q10,
    IntDecoder,
    half_up,
    sat16,
    scaled,
    table_at,
)
from moteye_training.captions.pack import CaptionPack, Sizes

FAR_Q10 = 1 << 16


@dataclass(frozen=True)
class Lstm:
    """The rival's own numbers: `arrays` by the symbols of bench_lstm_attention.c, and factors."""

    arrays: dict[str, np.ndarray]
    context: tuple[int, int]
    out: tuple[int, int]

    def blobs(self) -> dict[str, bytes]:
        """What the image is built with."""
        factors = np.array([*self.context, *self.out], "<i4")
        return {name: value.tobytes() for name, value in self.arrays.items()} | {
            "factors": factors.tobytes()
        }


def random_lstm(rng: np.random.Generator, width: int) -> Lstm:
    """Numbers of the size that trained ones have."""
    shapes = {"ask": (width, width), "gates": (4 * width, 3 * width), "leave": (width, width)}
    arrays: dict[str, np.ndarray] = {}
    for name, (rows, columns) in shapes.items():
        arrays[f"{name}_weight"] = rng.integers(-127, 128, (rows, columns)).astype("i1")
        arrays[f"{name}_bias"] = rng.integers(-3000, 3000, rows).astype("<i4")
        real = 2000 / (127 * 60 * np.sqrt(columns)) * rng.uniform(0.5, 1.5, rows)
        mantissa, exponent = np.frexp(real)
        arrays[f"{name}_multiplier"] = np.rint(mantissa * (2**31 - 1)).astype("<i4")
        arrays[f"{name}_shift"] = exponent.astype("i1")
    arrays["weigh"] = rng.integers(-3000, 3000, width).astype("<i2")
    middle = (np.arange(1024) + 0.5) / 64 - 8
    arrays["tanh_table"] = np.rint(32767 * np.tanh(middle)).astype("<i2")
    return Lstm(arrays, (1 << 30, -3), (1 << 30, -3))


class IntLstm:
    """Words one by one."""

    def __init__(self, pack: CaptionPack, lstm: Lstm) -> None:
        self.decoder, self.lstm = IntDecoder(pack), lstm
        self.pack, self._a = pack, {n: v.astype(np.int64) for n, v in lstm.arrays.items()}
        self.hidden = np.zeros(pack.sizes.width, np.int64)
        self.cell = np.zeros(pack.sizes.width, np.int64)

    def _product(self, name: str, x: I64) -> I64:
        a = self._a
        acc = a[f"{name}_weight"] @ x + a[f"{name}_bias"]
        return sat16(scaled(acc, a[f"{name}_multiplier"], a[f"{name}_shift"]))

    def _shares(self, energy: I64) -> I64:
        """Q15 [P] of energies Q10 [P]."""
        away = np.minimum(energy.max() - energy, FAR_Q10)
        exponent = (away * LOG2E_Q10 + 2048) >> 12
        exp2 = self.pack.arrays["exp2"].astype(np.int64)
        part = exp2[exponent & 255] >> np.minimum(exponent >> 8, 31)
        return np.asarray((part << 15) // part.sum(), np.int64)

    def context(self, seen: I64) -> I64:
        """Q10 [D] of seen Q10 [P, D]."""
        tanh = self._a["tanh_table"][table_at(seen + self._product("ask", self.hidden))]
        energy = half_up(tanh @ self._a["weigh"], 17)
        return sat16(half_up(self._shares(energy) @ seen, 15))

    def word(self, seen: I64, number: int) -> int:
        """The likeliest word behind `number`."""
        tanh = self._a["tanh_table"]
        sigmoid = self.pack.arrays["sigmoid"].astype(np.int64)
        context = np.clip(scaled(self.context(seen), *self.lstm.context), -127, 127)
        given = np.concatenate((self.decoder.word(number), context, self.hidden))
        gates = np.split(table_at(self._product("gates", given)), 4)
        enter, keep, leave = sigmoid[gates[0]], sigmoid[gates[1]], sigmoid[gates[3]]
        self.cell = sat16(half_up(keep * self.cell, 15) + half_up(enter * tanh[gates[2]], 18))
        shown = half_up(leave * tanh[table_at(half_up(self.cell, 2))], 23)
        self.hidden = np.clip(shown, -127, 127)
        out = np.clip(scaled(self._product("leave", self.hidden), *self.lstm.out), -127, 127)
        return int(np.argmax(self.decoder.logits(out)))


def case(rng: np.random.Generator, sizes: Sizes, count: int) -> dict[str, bytes]:
    """What bench_lstm_attention.c is built with: random decoders and a map, and what is said."""
    pack, lstm = random_pack(rng, sizes), random_lstm(rng, sizes.width)
    decoder = IntLstm(pack, lstm)
    maps = rng.integers(-128, 128, (sizes.positions, sizes.channels)).astype(np.int8)
    seen, words = decoder.decoder.look(maps), [0]
    for _ in range(count):
        words.append(decoder.word(seen, words[-1]))
    return lstm.blobs() | {
        "pack": pack.to_bytes(),
        "map": maps.tobytes(),
        "words": np.array(words[1:], "<u2").tobytes(),
        "hidden": decoder.hidden.astype(np.int8).tobytes(),
    }
