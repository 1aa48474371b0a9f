"""What captions are calibrated by: what the shipped captioner says of the bank's photos."""

import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from moteye_protocol import wire

from moteye import resources
from moteye.core.calibration import Background, Exclusion, Logistic
from moteye.errors import SpaceError

FILE = "captions.npz"


@dataclass(frozen=True)
class CaptionGround:
    """The background of one caption pack, whose hash `pack` is.

    `background.embeddings` int8[N, 256] are the vectors of what it says of the bank's photos,
    `background.content` what these show; `logistic` turns a standard score into a probability.
    """

    pack: bytes
    background: Background
    logistic: Logistic


@cache
def caption_ground() -> CaptionGround:
    """The background of the shipped captioner. Raises SpaceError where its file is not whole."""
    folder = resources.space_dir(resources.DEFAULT_MODEL)
    path = folder / FILE
    try:
        with np.load(path) as file, np.load(folder / "bank.npz") as bank:
            vectors, said = file["vectors"][file["said"]], bank["content"].astype(np.float32)
            pack = file["pack"].tobytes()
            slopes, offsets = file["a"].tolist(), file["b"].tolist()
            exclusion = Exclusion(*file["exclusion"].tolist())
    except (OSError, KeyError, TypeError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise SpaceError(f"{path} cannot be used ({error}); is the checkout whole?") from error
    if len(vectors) != len(said):
        raise SpaceError(f"{path} is of another bank; {_hint(path)}")
    said /= np.maximum(np.linalg.norm(said, axis=1, keepdims=True), 1e-9)
    logistic = Logistic(
        *(dict(zip(wire.SET_DIMS, values, strict=True)) for values in (slopes, offsets))
    )
    return CaptionGround(pack, Background(vectors, said, exclusion), logistic)


def _hint(path: Path) -> str:
    return f"`python -m moteye_training.captions background` writes {path.name} anew"
