"""False alarms promised and measured: 24 household phrases on the `coco-eval` photos.

Every photo of that set has all of its boxes, so a phrase whose thing has no box in a photo is
absent. With the bank alone, and as cameras that take their scores by their own background. Prints
a table and puts the rows `accurate.false_alarms.*` (measured over promised) into
build/bench/encoder.json.

python tests/bench/promises.py [--data ../shared/data]
"""

import argparse
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from moteye.core.background import ROWS, Reservoir
from moteye.core.calibration import PROMISED_RATE
from moteye.core.cameras import Cameras
from moteye.core.compile import CompiledSet
from moteye.core.engine import Engine, Observation
from moteye.imaging import ImageEncoder
from moteye.text.space import load_space
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "training")]

from moteye_training.trust import ALARM_TARGET, compiled_for, count_alarms  # noqa: E402
from moteye_training.truth import HOUSEHOLD  # noqa: E402
from support.figures import add_rows  # noqa: E402

CAMERAS = (1, 4, 8)
Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]


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


def by_camera(compiled: CompiledSet, embeddings: Int8, cameras: int) -> Int16:
    """Margins int16[N, K] as `cameras` cameras would take them, each by the other half's frames.

    Photos are grouped by likeness, which stands for a camera's scene; each group is halved by
    number, and each half is judged by the calibration that the agent fits to the other half,
    without knowing what any photo shows.
    """
    margins = compiled.scorer.margins_q8(embeddings)
    own = margins.copy()
    group = grouped(embeddings, cameras)
    for number in range(cameras):
        for half in (0, 1):
            members = np.flatnonzero(group == number)
            usual, judged = members[half::2], members[1 - half :: 2]
            background = Cameras()
            kept = embeddings[usual[:ROWS]]
            background.reservoirs["cam"] = Reservoir(len(usual), data=bytearray(kept.tobytes()))
            engine = Engine()
            engine.replace(compiled.policies)
            engine.calibrate(background.fit("cam", compiled, 1))
            frames = [Observation("cam", 1, 0, 0, 0)] * len(judged)
            own[judged] = engine.own_q8(frames, margins[judged])
    return own


def grouped(embeddings: Int8, groups: int) -> npt.NDArray[np.int64]:
    """Spherical k-means, seeded: the group of each embedding."""
    unit = embeddings / np.linalg.norm(embeddings.astype(float), axis=1, keepdims=True)
    centres = unit[np.random.default_rng(0).choice(len(unit), groups, replace=False)]
    for _ in range(30):
        group = np.asarray((unit @ centres.T).argmax(axis=1))
        centres = np.stack([unit[group == n].mean(axis=0) for n in range(groups)])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return group


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
    shown = np.array([[name in names for name in HOUSEHOLD] for names in boxed])
    table = Table(title=f"{len(photos)} photos, 24 phrases, {args.dim} dimensions")
    for heading in ("background", "certainty", "promised", "measured", "95 %", "ratio", "seen"):
        table.add_column(heading)
    rows = []
    for word, promised in PROMISED_RATE.items():
        compiled = compiled_for(space, word, args.dim)
        general = compiled.scorer.margins_q8(embeddings)
        found = {"bank alone": ("", count_alarms(compiled, general, shown))}
        for cameras in CAMERAS:
            own = by_camera(compiled, embeddings, cameras)
            found[f"of {cameras} cameras"] = (
                f".camera{cameras}",
                count_alarms(compiled, own, shown),
            )
        for label, (suffix, result) in found.items():
            ratio, (low, high) = result.false_rate / promised, result.interval
            table.add_row(
                *(label, word, f"{promised}", f"{result.false_rate:.5f}"),
                *(f"{low:.5f}-{high:.5f}", f"{ratio:.1f}", f"{result.seen_rate:.3f}"),
            )
            rows.append(
                {
                    "id": f"accurate.false_alarms.{word}{suffix}",
                    "value": round(ratio, 2),
                    "unit": "ratio",
                    "target": ALARM_TARGET,
                    "conditions": f"{label}: {result.false_count} in {result.pairs} absent pairs "
                    f"of coco-eval, {args.dim}-d, seen {result.seen_rate:.3f}",
                }
            )
    Console().print(table)
    add_rows(ROOT / "build" / "bench" / "encoder.json", rows)


if __name__ == "__main__":
    main()
