"""A recorded frame as an example: a small file beside the policies, with no picture in it.

The frame goes with the policies, and outlives the recording that it was taken from.
"""

import base64
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moteye.imaging import ImageError

SUFFIX = ".frame"
_DIM = 256


def frame_text(embedding: bytes, encoder_hash: bytes, *, camera: str, decision: str) -> str:
    """What such a file holds: int8[256] as bytes, the encoder that made it, where it is from."""
    held = {
        "encoder": encoder_hash.hex(),
        "embedding": base64.b64encode(embedding).decode(),
        "camera": camera,
        "decision": decision,
    }
    return json.dumps(held, indent=1) + "\n"


def read_frame(path: Path, encoder_hash: bytes) -> npt.NDArray[np.int8]:
    """The embedding int8[256] in a file of `frame_text`. Raises ImageError."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        encoder = bytes.fromhex(held["encoder"])
        data = base64.b64decode(held["embedding"], validate=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"{path}: not a frame that `moteye example` wrote ({type(error).__name__})"
        ) from error
    if len(data) != _DIM:
        raise ImageError(f"{path}: a frame of {len(data)} numbers; {_DIM} are wanted")
    if encoder != encoder_hash:
        raise ImageError(
            f"{path}: a frame as encoder {encoder.hex()} sees it, which is not comparable with "
            f"{encoder_hash.hex()}; take it anew with `moteye example`, or use a picture"
        )
    return np.frombuffer(data, np.int8)
