"""What codewords cost in accuracy: 10,000 real phrases at 64 dimensions, beside their 4-bit rows.

Top-1 of the evaluation photos among the names of their own set, from the rows of one set of 10,000
classes, in both forms. Puts `codebook_loss_points` (mean over the sets) into
build/bench/powercut.json. The first run embeds phrases and photos, which takes minutes.

python tests/bench/codebook.py [--data ../shared/data] [--tags ../shared/models/teacher/…]
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from codebook_data import CACHE, SETS, Photos, make_phrases, photo_embeddings, phrase_vectors
from moteye.core.codebook import compress
from moteye.core.prototypes import build_set
from moteye.core.scoring import AnySet, Scorer
from moteye.text.space import load_space
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from support.figures import add_rows  # noqa: E402

CLASSES, DIM, DRAWS = 10_000, 64, 1000


def hits(found: AnySet, photos: Photos, phrases: list[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """For each evaluation set, whether a photo's own name scores best among the set's names."""
    margins = Scorer(found, DIM).margins_q8(photos.embeddings)
    place = {phrase: row for row, phrase in enumerate(phrases)}
    right = {}
    for name in SETS:
        rows = [index for index, of in enumerate(photos.sets) if of == name]
        names = sorted({photos.labels[row] for row in rows})
        best = margins[np.ix_(rows, [place[label] for label in names])].argmax(axis=1)
        right[name] = np.array(
            [names[b] == photos.labels[r] for b, r in zip(best, rows, strict=True)]
        )
    return right


def loss_points(
    plain: dict[str, npt.NDArray[np.bool_]], coded: dict[str, npt.NDArray[np.bool_]]
) -> tuple[float, float, float]:
    """(mean loss over the sets in points, its 95 % interval by a bootstrap over photos)."""
    lost = [plain[name].astype(float) - coded[name] for name in SETS]
    rng = np.random.default_rng(0)
    draws = [
        np.mean([part[rng.integers(0, len(part), len(part))].mean() for part in lost])
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return 100 * float(np.mean([part.mean() for part in lost])), 100 * low, 100 * high


def main() -> None:
    """Measure, print, and write the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("MOTEYE_DATA", str(ROOT / ".." / "shared" / "data"))
    tags = os.environ.get(
        "MOTEYE_TAGS", str(ROOT / ".." / "shared/models/teacher/ram_tag_list.txt")
    )
    parser.add_argument("--data", type=Path, default=Path(data))
    parser.add_argument("--tags", type=Path, default=Path(tags), help="one word a line")
    args = parser.parse_args()
    space = load_space()
    photos = photo_embeddings(space, args.data)
    words = [line.strip() for line in args.tags.read_text().splitlines() if line.strip()]
    phrases = make_phrases(photos.labels, words, CLASSES)
    built = build_set(
        phrases,
        phrase_vectors(space, phrases),
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=DIM,
    )
    found = compress(built, space.background, space.logistic, dim=DIM, names=False)
    plain, coded = hits(built.prototypes, photos, phrases), hits(found, photos, phrases)
    table = Table(
        title=f"{len(phrases):,} classes, {DIM} dimensions, {len(found.encode()):,} bytes"
    )
    for heading in ("photos", "n", "4-bit rows", "codewords"):
        table.add_column(heading)
    for name in SETS:
        shares = (f"{plain[name].mean():.3f}", f"{coded[name].mean():.3f}")
        table.add_row(name, str(len(plain[name])), *shares)
    loss, low, high = loss_points(plain, coded)
    console = Console()
    console.print(table)
    console.print(f"loss {loss:.1f} points of top-1, 95 % {low:.1f} to {high:.1f}")
    conditions = f"mean over {len(SETS)} sets, 95 % {low:.1f} to {high:.1f}"
    row: dict[str, object] = {"id": "codebook_loss_points", "value": round(loss, 2)}
    row |= {"unit": "points", "target": None, "conditions": conditions}
    add_rows(CACHE / "powercut.json", [row])


if __name__ == "__main__":
    main()
