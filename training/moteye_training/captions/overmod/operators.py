"""The operators of encoder and decoder, each held against a board's accelerator. No weights needed.

The models are traced with `torch.fx` at their published sizes; what runs once a frame is counted
apart from what runs once a word. An operator that the accelerator lacks runs on the processor: the
kernel in device/kernels that does so is named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from moteye.compiler.boards import boards, npu_finding
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from ..decoder import AttSSM, DecoderSize, State
from .encoder import CaptionEncoder, OverMod
from .layers import Grn, merged
from .sizes import DECODER_WIDTH, ENCODERS, KARPATHY_WORDS, STATES

NANO_WORDS = 1495
FALLBACK = {"GRN": "grn_s8", "SELECTIVE_SCAN": "selective_scan", "LAYER_NORM": "layer_norm_q10",
            "GATHER": "caption_advance"}  # fmt: skip
"""What the accelerator cannot do, and the kernel that does it (device/kernels)."""
_CALLS = {
    "add": "ADD", "mul": "MUL", "sub": "SUB", "sigmoid": "LOGISTIC", "hardswish": "HARD_SWISH",
    "mean": "AVERAGE_POOL_2D", "adaptive_avg_pool2d": "AVERAGE_POOL_2D", "cat": "CONCATENATION",
    "chunk": "SPLIT", "softplus": "EXP", "exp": "EXP", "sqrt": "SQRT", "truediv": "DIV",
    "sum": "SUM", "square": "SQUARE", "linear": "FULLY_CONNECTED", "neg": "NEG",
}  # fmt: skip
_FREE = {"getitem", "getattr", "flatten", "transpose", "unsqueeze", "split", "size", "eq"}
"""Views of what is there: nothing is computed."""


@dataclass
class Operators:
    """How often each operator runs; largest live int8 activations in bytes; weights' bytes."""

    count: Counter[str] = field(default_factory=Counter)
    activations: int = 0
    weights: int = 0


class _Scan(nn.Module):
    """The selective scan as one operator."""

    def __init__(self, decoder: AttSSM) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder.scan(u, state)


class _Word(nn.Module):
    """One word of a decoder: its vector, context, scan, logits."""

    def __init__(self, decoder: AttSSM) -> None:
        super().__init__()
        self.words, self.spatial, self.channel = decoder.words, decoder.spatial, decoder.channel
        self.enter, self.leave, self.norm = decoder.enter, decoder.leave, decoder.norm
        self.scan = _Scan(decoder)
        self.word_bias = decoder.word_bias

    def forward(self, seen: Tensor, number: Tensor, hidden: Tensor, state: Tensor) -> Any:
        word = self.words(number)
        picked = nn.functional.hardswish(seen + self.spatial(hidden)[:, None]).mean(1)
        context = picked * torch.sigmoid(self.channel(picked))
        u, gate = self.enter(torch.cat((word, context), 1)).chunk(2, dim=1)
        y, scanned = self.scan(nn.functional.hardswish(u), state)
        out = self.norm(word + context + self.leave(y * nn.functional.hardswish(gate)))
        return nn.functional.linear(out, self.words.weight, self.word_bias), out, scanned


class _Look(nn.Module):
    """What the decoder computes once a frame."""

    def __init__(self, decoder: AttSSM) -> None:
        super().__init__()
        self.view, self.places = decoder.view, decoder.places

    def forward(self, maps: Tensor) -> Tensor:
        return self.view(maps) + self.places


class _Tracer(fx.Tracer):
    """Composite operators stay whole."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, Grn | _Scan) or super().is_leaf_module(module, name)


def build(name: str) -> tuple[CaptionEncoder, AttSSM]:
    """Encoder and decoder of a size as they run on a device: BN folded, kernels merged."""
    size = ENCODERS[name]
    encoder = OverMod(size)
    encoder.auxiliary = None
    caption = CaptionEncoder(encoder)
    merged(caption)
    words = NANO_WORDS if name == "nano" else KARPATHY_WORDS
    decoder = AttSSM(
        DecoderSize(
            (size.side // 32) ** 2, caption.fusion.channels, words, DECODER_WIDTH[name],
            STATES[name],
        )
    )  # fmt: skip
    return caption, decoder.eval()


def file_bytes(model: nn.Module, without: tuple[str, ...] = ()) -> int:
    """int8 file: a byte a weight of a matrix or kernel, four an entry of a vector."""
    return sum(
        p.numel() * (1 if p.ndim >= 2 and len(p) > 1 else 4)
        for name, p in model.named_parameters()
        if not name.startswith(without)
    )  # fmt: skip


def traced(model: nn.Module, *given: Tensor) -> Operators:
    """Operators of one pass."""
    graph = fx.GraphModule(model, _Tracer().trace(model))
    ShapeProp(graph).propagate(*given)
    found = Operators(weights=file_bytes(model))
    last = {arg: at for at, node in enumerate(graph.graph.nodes) for arg in node.all_input_nodes}
    live: dict[fx.Node, int] = {}
    for at, node in enumerate(graph.graph.nodes):
        name = _operator(graph, node)
        if name:
            found.count[name] += 1
        live[node] = _bytes(node) if name or node.op == "placeholder" else 0
        found.activations = max(found.activations, sum(live.values()))
        for gone in [other for other in live if last.get(other, -1) <= at and other is not node]:
            del live[gone]
    return found


def _bytes(node: fx.Node) -> int:
    meta = node.meta.get("tensor_meta")
    return int(meta.shape.numel()) if hasattr(meta, "shape") else 0  # type: ignore[union-attr]


def _operator(graph: fx.GraphModule, node: fx.Node) -> str:
    """Name of what the node computes; empty where it computes nothing."""
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        if isinstance(module, nn.Conv2d):
            return "DEPTHWISE_CONV_2D" if module.groups > 1 else "CONV_2D"
        names: dict[type, str] = {
            nn.Linear: "FULLY_CONNECTED", nn.Hardswish: "HARD_SWISH", nn.Identity: "",
            nn.LayerNorm: "LAYER_NORM", nn.Embedding: "GATHER", Grn: "GRN",
            _Scan: "SELECTIVE_SCAN",
        }  # fmt: skip
        return names[type(module)]
    if node.op in ("call_function", "call_method"):
        name = str(getattr(node.target, "__name__", node.target)).strip("_")
        if name == "adaptive_avg_pool2d":
            return _pooled(_bytes(node.all_input_nodes[0]), _bytes(node))
        return "" if name in _FREE else _CALLS[name]
    return ""


def _pooled(given: int, made: int) -> str:
    """Adaptive pooling to a larger map repeats values, to the same one does nothing."""
    if given == made:
        return ""
    return "AVERAGE_POOL_2D" if made < given else "RESIZE_NEAREST_NEIGHBOR"


def listed(name: str) -> dict[str, Operators]:
    """Operators of the encoder a frame, of the decoder a frame and of the decoder a word."""
    encoder, decoder = build(name)
    size, d = ENCODERS[name], decoder.size
    hidden = torch.zeros(1, d.width)
    state = State(hidden, torch.zeros(1, d.width, d.states))
    return {
        "encoder, a frame": traced(encoder, torch.zeros(1, 3, size.side, size.side)),
        "decoder, a frame": traced(_Look(decoder), torch.zeros(1, d.positions, d.channels)),
        "decoder, a word": traced(
            _Word(decoder), torch.zeros(1, d.positions, d.width), torch.zeros(1, dtype=torch.long),
            state.hidden, state.scan,
        ),
    }  # fmt: skip


def show(name: str, board: str) -> None:
    """Print each operator with its count, and who runs it. Raises ValueError for no such NPU."""
    known = boards()
    if board not in known or not known[board].npu_operators:
        able = ", ".join(n for n, entry in known.items() if entry.npu_operators)
        raise ValueError(f"--board {board}: no list of an accelerator's operators; there is {able}")
    encoder, decoder = build(name)
    print(f"OverMod-{name} and AttSSM-{name} on {known[board].title}")
    print(f"int8 files: encoder {file_bytes(encoder, ('encoder.head',)):,}, decoder "
          f"{file_bytes(decoder):,} bytes")  # fmt: skip
    for part, found in listed(name).items():
        print(f"{part}: activations {found.activations:,} bytes at most")
        for operator, count in sorted(found.count.items()):
            on = "NPU" if operator in known[board].npu_operators else FALLBACK[operator]
            print(f"  {operator:24} {count:4}  {on}")
        print(f"  {npu_finding(found.count, known[board], FALLBACK).text}")
