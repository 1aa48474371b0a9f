"""Link the shipped caption pack to an encoder that gives the same map, without a checkpoint.

A pack names the encoder that it reads by its hash, and says how many records follow the map. Both
change with what is put behind the map (a head of boxes); the words do not. That the maps are equal
is not believed but seen, on photos, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from moteye.compiler import compile_model, encoder_hash

from ..augment import squash
from ..cache import write_whole
from ..data import open_photo, training_photos
from ..towers import STUDENT_SIDE
from .pack import CaptionPack
from .tap import U8, MapReader, pack_of, records_behind

PHOTOS = 64


class RelinkError(ValueError):
    """The pack cannot be linked to the encoder; the message says why, and what to do."""


def require_equal_maps(was: Path, now: Path, pictures: Sequence[U8]) -> None:
    """Raise RelinkError where two encoders (.tflite) differ in the map of a uint8[96, 96, 3]."""
    before, after = MapReader(was), MapReader(now)
    if before.tap != after.tap:
        raise RelinkError(f"the maps are {before.tap} and {after.tap}; {_anew()}")
    for at, picture in enumerate(pictures):
        old, new = before(picture), after(picture)
        if different := int(np.count_nonzero(old != new)):
            raise RelinkError(
                f"picture {at} of {len(pictures)}: {different} of {old.size} bytes of the map "
                f"differ; {_anew()}"
            )


def _anew() -> str:
    return "a captioner of the other map is trained by the steps `words`, `export`, `background`"


def relinked(raw: bytes, was: Path, now: Path, now_pack: bytes, pictures: Sequence[U8]) -> bytes:
    """The caption pack `raw`, made for the encoder `was` (.tflite), for `now` and its .mpk.

    Raises RelinkError where it was made for another encoder, or where the maps differ.
    """
    pack, named = CaptionPack.from_bytes(raw), encoder_hash(compile_model(was.read_bytes()))
    if pack.encoder != named:
        raise RelinkError(
            f"the caption pack reads the encoder {pack.encoder.hex()}, {was} is {named.hex()}; "
            "give the encoder.tflite that it was made for"
        )
    require_equal_maps(was, now, pictures)
    sizes = replace(pack.sizes, before_end=records_behind(now_pack))
    return replace(pack, sizes=sizes, encoder=encoder_hash(now_pack)).to_bytes()


def _renamed(ground: Path, was: bytes, now: bytes) -> bytes:
    """The background `captions.npz` of the pack `was`, under the name of the pack `now`."""
    with np.load(ground) as stored:
        arrays = dict(stored)
    old, new = (hashlib.sha256(raw).digest()[:8] for raw in (was, now))
    # It names the new one already where a run was cut off between the two files.
    if arrays["pack"].tobytes() not in (old, new):
        raise RelinkError(f"{ground} is of another caption pack; run the step `background`")
    arrays["pack"] = np.frombuffer(new, np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def relink(data: Path, repo: Path, was: Path) -> None:
    """Rewrite `captions.cpk` and the name in `captions.npz` for the encoder that is there now."""
    folder = repo / "device/models/accurate"
    path, now = folder / "captions.cpk", folder / "encoder.tflite"
    ground = repo / "host_agent/moteye/space/accurate/captions.npz"
    raw, now_pack = path.read_bytes(), pack_of(now)
    if CaptionPack.from_bytes(raw).encoder == encoder_hash(now_pack):
        print(f"relink: {path} already reads {encoder_hash(now_pack).hex()}", flush=True)
        return
    photos = training_photos(data)
    chosen = np.random.default_rng(1).permutation(len(photos))[:PHOTOS]
    pictures = [squash(open_photo(photos[at]), STUDENT_SIDE) for at in chosen]
    found = relinked(raw, was, now, now_pack, pictures)
    background = _renamed(ground, raw, found)
    write_whole(ground, lambda file: file.write(background))
    write_whole(path, lambda file: file.write(found))
    print(
        f"relink: {path} reads {encoder_hash(now_pack).hex()} now, maps equal on {len(pictures)} "
        f"photos; {ground} names it",
        flush=True,
    )
