"""Float decoder to caption pack: int8 weights a row, ranges of what is int8 between products.

Coordinated (CFQ, after µVLM): the ranges are those that the decoder shows on the maps the *int8*
encoder gives. Independent: on maps of the float encoder, as if there were no other quantisation.
D = width, V = words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .decoder import AttSSM, State
from .fixed import factor, tables
from .pack import CaptionPack, Sizes
from .tap import Tap, records_behind
from .vocabulary import END, LONGEST

F64 = NDArray[np.float64]
Q10 = 1024
WATCHED = ("picked", "context", "scan_in", "scan_out", "out", "state")
QUANTILE = 0.9999


@dataclass(frozen=True)
class Ranges:
    """The largest real magnitude that int8 (and the scan's state) must hold, by name."""

    limit: dict[str, float]


@torch.no_grad()
def watch(model: AttSSM, maps: Tensor, words: Tensor) -> Ranges:
    """Ranges on real maps float[B, P, C] with their sentences int[B, T]."""
    seen_values: dict[str, list[Tensor]] = {name: [] for name in WATCHED}
    seen = model.look(maps)
    state = model.start(seen)
    given = F.pad(words[:, :-1], (1, 0), value=END)
    for at in range(given.shape[1]):
        picked = F.hardswish(seen + model.spatial(state.hidden)[:, None]).mean(1)
        context = picked * torch.sigmoid(model.channel(picked))
        word = model.words(given[:, at])
        u, gate = model.enter(torch.cat((word, context), 1)).chunk(2, dim=1)
        u = F.hardswish(u)
        y, scanned = model.scan(u, state.scan)
        y = y * F.hardswish(gate)
        out = model.norm(word + context + model.leave(y))
        state = State(out, scanned)
        for name, value in zip(WATCHED, (picked, context, u, y, out, scanned), strict=True):
            seen_values[name].append(value.abs().reshape(-1))
    limits = {}
    for name, parts in seen_values.items():
        values = torch.cat(parts).numpy()
        limits[name] = float(values.max() if name == "state" else np.quantile(values, QUANTILE))
    return Ranges(limits)


def _product(name: str, weight: F64, bias: F64 | None, column_scale: F64) -> dict[str, Any]:
    """Arrays of one matrix [rows, columns]; `column_scale` is what a step of each input is."""
    effective = weight * column_scale
    row_scale = np.maximum(np.abs(effective).max(1), 1e-9) / 127
    integers = np.rint(effective / row_scale[:, None])
    multiplier, shift = factor(row_scale * Q10)
    added = np.zeros(len(weight)) if bias is None else np.rint(bias / row_scale)
    return {
        f"{name}.weight": integers.astype(np.int64), f"{name}.bias": added.astype(np.int64),
        f"{name}.multiplier": multiplier, f"{name}.shift": shift,
    }  # fmt: skip


def _texts(texts: Sequence[str]) -> dict[str, Any]:
    raw = [text.encode() for text in texts]
    ends = np.cumsum([len(r) for r in raw])
    return {
        "text": np.frombuffer(b"".join(raw), np.uint8).copy(),
        "text_at": np.concatenate(([0], ends)),
    }


def quantise(
    model: AttSSM, ranges: Ranges, tap: Tap, encoder_pack: bytes, texts: Sequence[str]
) -> CaptionPack:
    """The pack of a decoder that reads the tap of this encoder (the bytes of its .mpk)."""
    w = {name: value.detach().double().numpy() for name, value in model.state_dict().items()}
    d, n, rank = model.size.width, model.size.states, model.size.rank
    step = {name: limit / 127 for name, limit in ranges.limit.items()}
    ones = np.ones(d)
    word_scales = np.abs(w["words.weight"]).max(1) / 127
    largest = float(word_scales.max())
    gain = np.maximum(np.rint(32768 * word_scales / largest), 1)
    words = np.rint(w["words.weight"] / (largest * gain / 32768)[:, None]).clip(-127, 127)
    view = _product("view", w["view.weight"], None, np.full(tap.channels, tap.scale))
    view["view.bias"] = -tap.zero_point * view["view.weight"].sum(1)
    arrays: dict[str, Any] = {
        **view,
        **_product("spatial", w["spatial.weight"], None, step["out"] * ones),
        **_product("channel", w["channel.weight"], w["channel.bias"], step["picked"] * ones),
        **_product(
            "enter", w["enter.weight"], w["enter.bias"],
            np.concatenate((largest * ones, step["context"] * ones)),
        ),
        **_product("select", w["select.weight"], None, step["scan_in"] * ones),
        **_product("leave", w["leave.weight"], w["leave.bias"], step["scan_out"] * ones),
        "word_bias": np.rint(w["word_bias"] * Q10),
        "places": _held(w["places"] + w["view.bias"], 10),
        "step.weight": _held(w["step.weight"], 12), "step.bias": _held(w["step.bias"], 10),
        "decay": np.rint(np.exp(w["decay"]) * np.log2(np.e) * 256).clip(1, 65535),
        "skip": _held(w["skip"], 12),
        "gamma": _held(w["norm.weight"], 12), "beta": _held(w["norm.bias"], 10),
        "gain": gain, "words": words, **tables(), **_texts(texts),
    }  # fmt: skip
    arrays = {name: np.asarray(value).astype(np.int64) for name, value in arrays.items()}
    room = np.log2(32767 / (1.5 * max(ranges.limit["state"], 1e-6)))
    real_factors = {
        "word": largest * Q10, "picked": 1 / (Q10 * step["picked"]),
        "context": 1 / (Q10 * step["context"]), "scan_in": 1 / (Q10 * step["scan_in"]),
        "scan_out": 1 / (Q10 * step["scan_out"]), "out": 1 / (Q10 * step["out"]),
        "logit": largest * step["out"] * Q10,
    }  # fmt: skip
    factors = {}
    for name, real in real_factors.items():
        multiplier, shift = factor(real)
        factors[name] = (int(multiplier), int(shift))
    sizes = Sizes(
        tap.positions, tap.channels, d, n, rank, len(texts), LONGEST, records_behind(encoder_pack)
    )
    return CaptionPack(
        sizes,
        hashlib.sha256(encoder_pack).digest()[:8],
        tap.zero_point,
        int(np.clip(np.floor(room), 1, 14)),
        factors,
        arrays,
    )


def _held(value: F64, bits: int) -> F64:
    """Fixed point within int16."""
    return np.asarray(np.rint(value * 2**bits).clip(-32768, 32767))
