"""A teacher from the library open_clip: its picture tower, and its text tower for class names.

Its picture embedding is the row's feature. The class logits are its own answer to ImageNet's class
names (its text tower, 100 x cosine), so that what it knows of names reaches the head as well.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from .text import F32
from .towers import class_names

PROMPT = "a photo of a {}"
SCALE = 100.0
BACKGROUND = -100.0
"""Logit of the class that only the composed teacher's towers have."""
LOCAL = "local-dir:"
_MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@lru_cache(1)
def load_library() -> Any:
    """The module open_clip.

    It imports torchvision, which does not start beside a torch of another build: a processor's
    torch with the torchvision for CUDA. It lacks its box operators then, which open_clip needs
    none of, so they are declared here, without a body. Raises ModuleNotFoundError.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for operator in _MISSING:
            library.define(operator)
        # The declarations last as long as this object.
        load_library.declared = library  # type: ignore[attr-defined]
    try:
        import open_clip
    except ModuleNotFoundError as error:
        message = f"the teacher open_clip needs {error.name}: pip install open_clip_torch"
        raise ModuleNotFoundError(message, name=error.name) from error
    return open_clip


def embedding_width(model: str) -> int:
    """Values of the model's embedding, from its configuration; nothing is loaded or fetched.

    Raises ValueError for a model that open_clip does not know.
    """
    name = model.split(",")[0]
    if name.startswith(LOCAL):
        path = Path(name.removeprefix(LOCAL)) / "open_clip_config.json"
        try:
            return int(json.loads(path.read_text())["model_cfg"]["embed_dim"])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: no configuration of an open_clip model: {error}") from error
    found = load_library().get_model_config(name)
    if found is None:
        raise ValueError(f"open_clip has no model {name!r}: see open_clip.list_models()")
    return int(found["embed_dim"])


class OpenClip:
    """uint8[side, side, 3] -> float32[embedding + 1001]; `MODEL` or `MODEL,WEIGHTS`.

    WEIGHTS is a tag of open_clip's, fetched once by it, or a file. The folder of `local-dir:` has
    open_clip_config.json and the weights in it.
    """

    def __init__(self, model: str, models: Path) -> None:
        library = load_library()
        name, _, weights = model.partition(",")
        if not weights and not name.startswith(LOCAL):
            raise ValueError(
                f"open_clip:{name} says no weights: one of "
                f"{library.list_pretrained_tags_by_model(name)}, or a file, behind a comma"
            )
        self._model = library.create_model(name, pretrained=weights or None).eval()
        visual = self._model.visual
        side = visual.image_size
        self.side = int(side if isinstance(side, int) else side[0])
        """Pixels a side that it sees."""
        self._mean = torch.tensor(visual.image_mean).reshape(3, 1, 1)
        self._std = torch.tensor(visual.image_std).reshape(3, 1, 1)
        self._classes = self._name_classes(library.get_tokenizer(name), class_names(models))

    @torch.no_grad()
    def _name_classes(self, tokenizer: Any, names: list[list[str]]) -> torch.Tensor:
        texts = [PROMPT.format(name) for synonyms in names for name in synonyms]
        parts = [
            F.normalize(self._model.encode_text(tokenizer(texts[at : at + 64])), dim=1)
            for at in range(0, len(texts), 64)
        ]
        counts = [len(synonyms) for synonyms in names]
        means = [one.mean(0) for one in torch.cat(parts).split(counts)]
        return F.normalize(torch.stack(means), dim=1)

    @torch.no_grad()
    def __call__(self, pixels: NDArray[np.uint8]) -> F32:
        """The row of one picture."""
        x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255
        seen = F.normalize(self._model.encode_image(((x - self._mean) / self._std)[None]), dim=1)[0]
        logits = SCALE * self._classes @ seen
        row = torch.cat([seen, torch.tensor([BACKGROUND]), logits])
        return np.asarray(row.float().numpy(), np.float32)
