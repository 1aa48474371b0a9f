"""False alarms promised and measured: 24 household phrases on the `coco-eval` photos.

Every photo of that set has all of its boxes, so a phrase whose thing has no box in a photo is
absent. Prints a table and puts the rows `fast.false_alarms.*` (measured over promised) into
build/bench/encoder.json.

python tests/bench/promises.py [--data ../shared/data]
"""

import argparse
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from moteye.core.calibration import PROMISED_RATE
from moteye.core.language import parse_policy
from moteye.imaging import ImageEncoder
from moteye.text.space import Space, load_space
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]
TARGET = 2.0
NAMES = [
    "person",
    "chair",
    "dining table",
    "car",
    "cup",
    "bottle",
    "handbag",
    "bowl",
    "backpack",
    "tv",
    "book",
    "potted plant",
    "couch",
    "laptop",
    "clock",
    "bicycle",
    "umbrella",
    "dog",
    "bed",
    "cat",
    "vase",
    "suitcase",
    "bird",
    "teddy bear",
]


def read_photos(folder: Path) -> list[tuple[dict[str, Any], bytes]]:
    """(record, JPEG) of every photo of `coco-eval`, in the order of the shards."""
    found = []
    for shard in sorted(folder.glob("eval-*.tar")):
        with tarfile.open(shard) as tar:
            parts: dict[str, dict[str, bytes]] = {}
            for member in tar:
                stem, _, kind = member.name.rpartition(".")
                stream = tar.extractfile(member)
                if stream is not None:
                    parts.setdefault(stem, {})[kind] = stream.read()
        for part in parts.values():
            record = json.loads(part["json"])
            if record.get("eval_set") == "coco-eval":
                found.append((record, part["jpg"]))
    return found


def rates(
    space: Space,
    embeddings: npt.NDArray[np.int8],
    shown: npt.NDArray[np.bool_],
    word: str,
    dim: int,
) -> tuple[float, float, int]:
    """(false alarms per absent photo, share of shown things seen, absent pairs)."""
    text = "see: a {0}\ncertainty: {1}\nthen: [log]\n"
    policies = [
        parse_policy(text.format(name, word), name, name.replace(" ", "-")) for name in NAMES
    ]
    compiled = space.compile(policies, number=1, dim=dim)
    margins = compiled.scorer.margins_q8(embeddings)
    false, true = [], []
    for item, truth in zip(compiled.policies, shown.T, strict=True):
        seen = margins[:, item.columns[0]] >= item.enter_q8[0]
        false.append(float(seen[~truth].mean()))
        true.append(float(seen[truth].mean()))
    return float(np.mean(false)), float(np.mean(true)), int((~shown).sum())


def main() -> None:
    """Measure, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("MOTEYE_DATA", str(ROOT / ".." / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--dim", type=int, default=64)
    args = parser.parse_args()
    photos = read_photos(args.data)
    if not photos:
        raise SystemExit(f"{args.data}: no eval-*.tar with photos of coco-eval; say --data FOLDER")
    space = load_space()
    encoder = ImageEncoder(space.model / "encoder.tflite")
    pictures = (Image.open(io.BytesIO(jpeg)).convert("RGB") for _, jpeg in photos)
    embeddings = np.stack(
        [encoder.encode(np.asarray(p)) for p in track(pictures, "encoding", total=len(photos))]
    )
    boxed = [{box[4] for box in record["boxes"]} for record, _ in photos]
    shown = np.array([[name in names for name in NAMES] for names in boxed])
    table = Table(title=f"{len(photos)} photos, 24 phrases, {args.dim} dimensions")
    for heading in ("certainty", "promised", "measured", "measured / promised", "things seen"):
        table.add_column(heading)
    rows = []
    for word, promised in PROMISED_RATE.items():
        measured, recall, pairs = rates(space, embeddings, shown, word, args.dim)
        table.add_row(
            word, f"{promised}", f"{measured:.5f}", f"{measured / promised:.1f}", f"{recall:.3f}"
        )
        rows.append(
            {
                "id": f"fast.false_alarms.{word}",
                "value": round(measured / promised, 2),
                "unit": "ratio",
                "target": TARGET,
                "conditions": f"{pairs} absent pairs of coco-eval, {args.dim}-d, seen {recall:.3f}",
            }
        )
    Console().print(table)
    add_rows(ROOT / "build" / "bench" / "encoder.json", rows)


def add_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Put `rows` into the list of `path` in place of those with the same ids."""
    kept = json.loads(path.read_text()) if path.is_file() else []
    ids = {row["id"] for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = [row for row in kept if row["id"] not in ids] + rows
    path.write_text(json.dumps(merged, indent=1) + "\n")


if __name__ == "__main__":
    main()
