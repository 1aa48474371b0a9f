"""False alarms of `caption: says` promised and measured, and how captions of one scene differ.

Every photo of `coco-eval` has all of its boxes, so a phrase whose thing has no box in a photo is
absent. `--choose` measures rules of exclusion on the hold-out photos of the training shards, which
is where the shipped rule was chosen. The last table is for `changes: caption`: 200 hold-out photos,
each again four times in other light (up to 15 %), with noise of 6 grey levels, two of them shaken
by up to 2 % of the picture.

PYTHONPATH=training python tests/bench/caption_promises.py [--data ../shared/data] [--choose]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from moteye.core.calibration import PROMISED_RATE, Background, Exclusion
from moteye.core.compile import CompiledSet, compile_policies
from moteye.core.hearing import ONE_Q12, likeness_q12
from moteye.core.language import parse_policy
from moteye.core.report import wilson
from moteye.core.track import BAND_Q8
from moteye.text.captions import caption_ground
from moteye.text.space import Space, load_space
from moteye_training.augment import box_resize
from moteye_training.captions.background import say
from moteye_training.captions.evaluate import evaluation, pack_captions
from moteye_training.captions.pack import CaptionPack
from moteye_training.captions.tap import MapReader
from moteye_training.data import Photo, data_root, is_validation, open_photo, training_photos
from moteye_training.truth import COCO_NAMES, HOUSEHOLD, presence_matrix
from rich.console import Console
from rich.table import Table

MODEL = Path(__file__).parents[2] / "device/models/accurate"
PACK, ENCODER = MODEL / "captions.cpk", MODEL / "encoder.tflite"
RULES = [Exclusion(cosine, 99.0, 0.6) for cosine in (0.15, 0.25, 0.35, 0.5)]
LEAST = 20  # photos that show a thing, for a row of its own
SCENES, VIEWS = 200, 4
Int8 = npt.NDArray[np.int8]


def compiled_for(space: Space, word: str, background: Background) -> CompiledSet:
    """One policy for each name, as `caption:` would be compiled."""
    text = "see: a {0}\ncertainty: {1}\nthen: [log]\n"
    policies = [
        parse_policy(text.format(name, word), name, name.replace(" ", "-")) for name in COCO_NAMES
    ]
    ground = caption_ground()
    return compile_policies(
        policies, space.phrase_vectors, background, ground.logistic,
        encoder_hash=ground.pack, number=1, dim=64,
    )  # fmt: skip


def alarms(compiled: CompiledSet, vectors: Int8, known: Int8) -> npt.NDArray[np.int64]:
    """By name (false alarms, photos without, seen, photos with), int64[K, 4]."""
    margins = compiled.scorer.margins_q8(vectors)
    rows = []
    for at, item in enumerate(compiled.policies):
        hit = margins[:, item.columns[0]] >= item.enter_q8[0] + BAND_Q8
        without, shown = known[:, at] == 0, known[:, at] == 1
        rows.append([(hit & without).sum(), without.sum(), (hit & shown).sum(), shown.sum()])
    return np.array(rows, np.int64)


def vectors_of(space: Space, texts: list[str]) -> Int8:
    """int8[N, 256]."""
    return np.stack([np.frombuffer(space.sentence_vector(text), np.int8) for text in texts])


def choose(space: Space, held: list[Photo], out: Path) -> Table:
    """What each rule of exclusion gives on photos that nothing was fitted to."""
    vectors = vectors_of(space, say(held, PACK, ENCODER, out / "maps_held"))
    known = presence_matrix(held)
    table = Table(title=f"{len(held)} hold-out photos, 80 names", title_justify="left")
    for heading in ("photos shown from cosine", "certainty", "promised", "measured", "seen"):
        table.add_column(heading)
    for rule in RULES:
        for word, promised in PROMISED_RATE.items():
            background = replace(caption_ground().background, exclusion=rule)
            false, without, seen, shown = alarms(
                compiled_for(space, word, background), vectors, known
            ).sum(0)
            cells = (f"{1000 * promised:g}", f"{1000 * false / without:.2f}")
            table.add_row(str(rule.cosine), word, *cells, f"{100 * seen / shown:.1f} %")
    return table


def promises(space: Space, photos: list[Photo], out: Path) -> list[Table]:
    """What the shipped background promises and gives; and what is seen of each thing."""
    vectors = vectors_of(space, say(photos, PACK, ENCODER, out / "maps_eval"))
    known = presence_matrix(photos)
    home = [COCO_NAMES.index(name) for name in HOUSEHOLD]
    table = Table(title=f"captions of {len(photos)} photos, per 1,000", title_justify="left")
    for heading in ("names", "certainty", "promised", "measured", "95 %", "seen"):
        table.add_column(heading)
    found = {}
    for word, promised in PROMISED_RATE.items():
        compiled = compiled_for(space, word, caption_ground().background)
        found[word] = rows = alarms(compiled, vectors, known)
        for label, some in (("80 of COCO", rows), ("24 of a household", rows[home])):
            false, without, seen, shown = some.sum(0)
            low, high = wilson(int(false), int(without))
            cells = (f"{1000 * promised:g}", f"{1000 * false / without:.2f}")
            interval = f"{1000 * low:.2f} - {1000 * high:.2f}"
            table.add_row(label, word, *cells, interval, f"{100 * seen / shown:.1f} %")
    best = Table(title="seen at `likely`, the best", title_justify="left")
    for heading in ("name", "photos", "seen", "false alarms"):
        best.add_column(heading)
    rows = found["likely"]
    often = [at for at in range(len(rows)) if rows[at, 3] >= LEAST]
    for at in sorted(often, key=lambda at: -rows[at, 2] / rows[at, 3])[:12]:
        false, _, seen, shown = rows[at].tolist()
        best.add_row(COCO_NAMES[at], str(shown), f"{100 * seen / shown:.0f} %", str(false))
    return [table, best]


def disturbed(pixels: npt.NDArray[np.uint8], view: int, rng: np.random.Generator) -> npt.NDArray:
    """A photo in other light, with noise; from the third view on shaken, too."""
    light = pixels * (1 + rng.uniform(-0.15, 0.15)) + rng.uniform(-8, 8)
    noisy = np.clip(light + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    if view <= VIEWS // 2:
        return noisy
    most = [max(1, side // 50) for side in pixels.shape[:2]]
    moved = [int(rng.integers(-far, far + 1)) for far in most]
    return np.roll(noisy, moved, (0, 1))


def flutter(space: Space, held: list[Photo]) -> Table:
    """How often captions of one scene, and of different ones, are less alike than a limit."""
    rng = np.random.default_rng(0)
    reader, maps = MapReader(ENCODER), []
    for at in rng.permutation(len(held))[:SCENES]:
        pixels = np.asarray(open_photo(held[at]))
        views = [pixels, *(disturbed(pixels, view, rng) for view in range(1, VIEWS + 1))]
        maps += [reader(box_resize(view, 96)) for view in views]
    said = pack_captions(CaptionPack.from_bytes(PACK.read_bytes()), np.stack(maps))
    rows = [space.sentence_vector(text) for text in said]
    step = VIEWS + 1
    same = np.array(
        [
            [likeness_q12(rows[at], rows[at + view]) for view in range(1, step)]
            for at in range(0, len(rows), step)
        ]
    )
    pairs = rng.integers(0, SCENES, (4000, 2))
    other = np.array([likeness_q12(rows[a * step], rows[b * step]) for a, b in pairs if a != b])
    title = f"{SCENES} scenes, {VIEWS} times disturbed: less alike than"
    table = Table(title=title, title_justify="left")
    for heading in ("limit", "same scene, once", "twice in a row", "another photo"):
        table.add_column(heading)
    for limit in (0.2, 0.3, 0.4, 0.5, 0.6):
        below = same < limit * ONE_Q12
        twice = (below[:, :-1] & below[:, 1:]).mean()
        cells = (below.mean(), twice, (other < limit * ONE_Q12).mean())
        table.add_row(str(limit), *(f"{100 * cell:.1f} %" for cell in cells))
    words = np.mean([said[at] == said[at + 1] for at in range(0, len(said), step)])
    table.caption = f"word for word the same: {100 * words:.0f} %"
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="shards; default MOTEYE_DATA or ../shared/data")
    parser.add_argument("--out", type=Path, default=Path("build/captions"), help="keeps maps")
    parser.add_argument("--choose", action="store_true", help="rules of exclusion, on hold-out")
    args = parser.parse_args()
    data, space, console = data_root(args.data), load_space(), Console()
    held = [photo for photo in training_photos(data) if is_validation(photo)]
    if args.choose:
        console.print(choose(space, held, args.out))
    for table in (*promises(space, evaluation(data), args.out), flutter(space, held)):
        console.print(table)


if __name__ == "__main__":
    main()
