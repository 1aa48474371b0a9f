"""What the codebook's accuracy is measured with: 10,000 phrases and photos with known labels.

Phrases are the label names of the evaluation, everyday tag words, and both with an attribute or a
place. Vectors and embeddings are kept in build/bench, since they take minutes.
"""

import hashlib
import io
import itertools
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from moteye.imaging import ImageEncoder
from moteye.text.space import Space
from PIL import Image
from rich.progress import track

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "bench"
SETS = ("caltech-unseen", "caltech-seen", "flowers-seen", "flowers-unseen", "grocery")
SETS += ("nips17-imagenet",)
TWISTS = ("red {}", "{} on a table", "small {}", "{} in the garden", "white {}", "{} at the door")


@dataclass(frozen=True)
class Photos:
    """Embeddings int8[N, 256] of labelled photos, and each one's evaluation set and label."""

    embeddings: npt.NDArray[np.int8]
    sets: list[str]
    labels: list[str]


def read_photos(folder: Path) -> list[tuple[str, str, bytes]]:
    """(evaluation set, label, JPEG) of every labelled evaluation photo, in the shards' order."""
    found = []
    for shard in sorted(folder.glob("eval-*.tar")):
        parts: dict[str, dict[str, bytes]] = {}
        with tarfile.open(shard) as tar:
            for member in tar:
                stem, _, kind = member.name.rpartition(".")
                stream = tar.extractfile(member)
                if stream is not None:
                    parts.setdefault(stem, {})[kind] = stream.read()
        for part in parts.values():
            record = json.loads(part["json"])
            if record.get("eval_set") in SETS:
                label = record["label"].rsplit("/", 1)[-1].replace("-", " ").replace("_", " ")
                found.append((record["eval_set"], label.strip(), part["jpg"]))
    if not found:
        raise SystemExit(f"{folder}: no eval-*.tar with labelled photos; say --data FOLDER")
    return found


def make_phrases(labels: list[str], tags: list[str], count: int) -> list[str]:
    """`count` different phrases: labels, tags, then each of both with a twist after the other."""
    words = list(dict.fromkeys([*sorted(set(labels)), *tags]))
    twisted = (twist.format(word) for twist, word in itertools.product(TWISTS, words))
    return list(dict.fromkeys(itertools.chain(words, twisted)))[:count]


def phrase_vectors(space: Space, phrases: list[str]) -> npt.NDArray[np.float32]:
    """float32[K, 256], from the cache where these phrases were embedded before."""
    path = CACHE / f"phrases-{_digest(space, *phrases)}.npy"
    if not path.is_file():
        parts = [
            space.phrase_vectors(phrases[at : at + 100])
            for at in track(range(0, len(phrases), 100), "embedding phrases")
        ]
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(parts))
    return np.asarray(np.load(path), np.float32)


def photo_embeddings(space: Space, folder: Path) -> Photos:
    """The labelled photos as the device's encoder sees them."""
    photos = read_photos(folder)
    path = CACHE / f"photos-{_digest(space, *(label for _, label, _ in photos))}.npy"
    if not path.is_file():
        encoder = ImageEncoder(space.model / "encoder.tflite")
        pictures = (Image.open(io.BytesIO(jpeg)).convert("RGB") for _, _, jpeg in photos)
        found = [encoder.encode(np.asarray(p)) for p in track(pictures, "encoding", len(photos))]
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(path, np.stack(found))
    embeddings = np.asarray(np.load(path), np.int8)
    return Photos(embeddings, [s for s, _, _ in photos], [label for _, label, _ in photos])


def _digest(space: Space, *texts: str) -> str:
    """Names what the cached numbers were made with: the encoder's weights, and texts."""
    digest = hashlib.sha256((space.model / "encoder.tflite").read_bytes())
    digest.update("\n".join(texts).encode())
    return digest.hexdigest()[:16]
