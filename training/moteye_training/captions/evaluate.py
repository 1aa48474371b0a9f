"""The captioner's figures on `coco-eval`, from the committed files: NumPy, LiteRT, pycocoevalcap.

Nothing is chosen here. Sentences are made by the integer reference, which the device equals bit for
bit. METEOR and the tokenizer of the scores need Java.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Photo, evaluation_photos, is_validation, training_photos
from ..text import WORDS
from .cider import CiderD
from .integer import IntDecoder, caption
from .maps import MapCache
from .nearest import caption_embeddings, nearest, teacher_embeddings
from .pack import CaptionPack
from .sentences import PEOPLE
from .tap import I8
from .vocabulary import words

BEAMS = 3
SAMPLES = 30
NANO, FLOAT = "nano, int8, beam 3", "nano, float, beam 3"
INDEPENDENT = "nano, quantised independently, beam 3"
METRICS = ("CIDEr-D", "BLEU-4", "METEOR", "ROUGE-L")


def scores(
    said: Sequence[str], references: Sequence[Sequence[str]], metrics: Sequence[str] = METRICS
) -> dict[str, float]:
    """Each metric x 100 of N sentences against their photos' references.

    Raises RuntimeError where there is no Java.
    """
    if shutil.which("java") is None:
        raise RuntimeError("scores need Java (Debian: default-jre-headless): tokenizer and METEOR")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    given = tokenizer.tokenize(
        {at: [{"caption": r} for r in several] for at, several in enumerate(references)}
    )
    made = tokenizer.tokenize({at: [{"caption": text}] for at, text in enumerate(said)})
    makers: dict[str, Any] = {
        "CIDEr-D": Cider, "BLEU-4": lambda: Bleu(4), "METEOR": Meteor, "ROUGE-L": Rouge
    }  # fmt: skip
    found = {}
    for name in metrics:
        quiet = {"verbose": 0} if name == "BLEU-4" else {}
        value, _ = makers[name]().compute_score(given, made, **quiet)
        found[name] = 100 * float(value[3] if name == "BLEU-4" else value)
    return found


def pack_captions(pack: CaptionPack, maps: I8, beams: int = BEAMS) -> list[str]:
    """The sentence of each map int8[N, P, C]."""
    from tqdm import tqdm

    decoder = IntDecoder(pack)
    return [
        " ".join(pack.text(word) for word in caption(decoder, one, beams).words)
        for one in tqdm(maps, unit="caption", mininterval=20)
    ]


def constant_caption(photos: Sequence[Photo], candidates: int = 400) -> str:
    """The training caption with the best mean CIDEr-D on training photos with five captions."""
    five = [p for p in photos if len(p.captions) >= 5]
    references = [[words(text) for text in p.captions] for p in five]
    cider = CiderD(references)
    sample = np.random.default_rng(1).permutation(len(five))[:300]
    prepared = [[cider.prepare(r) for r in references[at]] for at in sample]
    # Long rare sentences cannot win: the candidates are those of the commonest words.
    seen: dict[str, int] = {}
    for several in references:
        for said in several:
            for word in said:
                seen[word] = seen.get(word, 0) + 1
    texts = sorted({t for p in five for t in p.captions})
    texts.sort(key=lambda t: -np.mean([np.log(seen[w]) for w in words(t)] or [0]))
    best = [
        np.mean([cider.score(words(text), refs) for refs in prepared])
        for text in texts[:candidates]
    ]
    return texts[int(np.argmax(best))]


def evaluation(data: Path) -> list[Photo]:
    """The photos of `coco-eval`, in order."""
    return [p for p in evaluation_photos(data) if p.eval_set == "coco-eval"]


def nearest_captions(
    photos: Sequence[Photo], learnt: Sequence[Photo], models: Path, repo: Path
) -> list[str]:
    """For each photo the caption of `learnt` nearest to it by the teacher."""
    texts = sorted({text for p in learnt for text in p.captions})
    pictures = teacher_embeddings(photos, models, repo / "training/teacher/alignment.npz")
    said = caption_embeddings(texts, repo / WORDS)
    return [texts[row[0]] for row in nearest(pictures, said, 1)]


def whole_maps(photos: Sequence[Photo], out: Path, encoder: Path) -> I8:
    """int8[N, P, C] of whole photos, as the device computes them; kept in `OUT/maps_eval`."""
    maps, places = MapCache(out / "maps_eval", encoder).fill(
        [(p, 0) for p in photos], reference=True
    )
    return np.stack([maps[places[p.key, 0]] for p in photos])


def evaluate(data: Path, models: Path, out: Path, repo: Path) -> dict[str, Any]:
    """All figures of the committed files; what PyTorch said stands in `unquantised.json`."""
    folder = repo / "device/models/accurate"
    photos = evaluation(data)
    maps = whole_maps(photos, out, folder / "encoder.tflite")
    references = [p.captions for p in photos]
    pack = CaptionPack.from_bytes((folder / "captions.cpk").read_bytes())
    learnt = [p for p in training_photos(data) if p.source in PEOPLE and not is_validation(p)]
    constant = constant_caption(learnt)
    said = {
        NANO: pack_captions(pack, maps),
        f"always “{constant}”": [constant] * len(photos),
        "nearest caption by the teacher": nearest_captions(photos, learnt, models, repo),
    }
    said |= json.loads((repo / "training/captions/unquantised.json").read_text())
    results = {name: scores(texts, references) for name, texts in said.items()}
    for name, values in results.items():
        print(f"{name:60}", " ".join(f"{m} {values[m]:5.1f}" for m in METRICS), flush=True)
    chosen = np.random.default_rng(7).permutation(len(photos))[:SAMPLES]
    samples = [{"said": said[NANO][at], "person": references[at][0]} for at in chosen]
    return {"photos": len(photos), "scores": results, "samples": samples}


def over_rivals(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """CIDEr-D of AttSSM less each rival's on `coco-eval`: mean over the seeds both were run with.

    Raises ValueError where a decoder lacks a seed that AttSSM has.
    """
    found = {(run["decoder"], run["seed"]): run["coco_eval"]["CIDEr-D"] for run in runs}
    seeds = [seed for name, seed in found if name == "attssm"]
    over = {}
    for rival in sorted({name for name, _ in found} - {"attssm"}):
        lacking = [seed for seed in seeds if (rival, seed) not in found]
        if lacking or not seeds:
            raise ValueError(f"rivals.json: {rival} lacks runs of the seeds {lacking}")
        gains = [found["attssm", seed] - found[rival, seed] for seed in seeds]
        over[f"attssm_minus_{rival.replace('-', '_')}"] = float(np.mean(gains))
    return over


def write_rows(data: Path, models: Path, out: Path, repo: Path, bench: Path) -> None:
    """Write `captioner.json`: rows with id, value, unit, target, rival; scores and samples."""
    found = evaluate(data, models, out, repo)
    nano, constant, teacher = list(found["scores"].values())[:3]
    size = (repo / "device/models/accurate/captions.cpk").stat().st_size
    values = [
        ("nano.ciderd", nano["CIDEr-D"], "CIDEr-D x 100", 45.0),
        ("nano.bleu4", nano["BLEU-4"], "BLEU-4 x 100", None),
        ("nano.over_constant", nano["CIDEr-D"] / constant["CIDEr-D"], "ratio", 1.5),
        ("nano.over_nearest", nano["CIDEr-D"] / teacher["CIDEr-D"], "ratio", 1.1),
        ("cfq_loss", found["scores"][FLOAT]["CIDEr-D"] - nano["CIDEr-D"], "CIDEr-D x 100", 1.0),
        (
            "cfq_gain_over_independent",
            nano["CIDEr-D"] - found["scores"][INDEPENDENT]["CIDEr-D"],
            "CIDEr-D x 100",
            0.0,
        ),
        ("nano.weights_bytes", size, "bytes", None),
    ]
    conditions = f"coco-eval, {found['photos']} photos, 5 references, int8, beam {BEAMS}"
    measured = [(*row, conditions) for row in values]
    rivals = json.loads((repo / "training/captions/rivals.json").read_text())
    conditions = f"coco-eval, float, beam {BEAMS}, mean of seeds: {rivals['command']}"
    measured += [
        (name, gain, "CIDEr-D x 100", 0.0, conditions)
        for name, gain in over_rivals(rivals["runs"]).items()
    ]
    agreement = json.loads((repo / "training/captions/agreement.json").read_text())
    gain = agreement["cfq_less_independent"]
    conditions = (
        f"coco-eval, {agreement['words']} words of people, 95 % {gain['low']} to {gain['high']}"
    )
    measured.append(
        ("cfq_divergence_less_independent", gain["mean"], "nats a word", 0.0, conditions)
    )
    names = ("id", "value", "unit", "target", "conditions")
    rows = [dict(zip(names, row, strict=True)) for row in measured]
    for row in rows:
        row["value"] = round(row["value"], 6)
        print(f"{row['id']:28} {row['value']:>12} (target {row['target']})")
    bench.parent.mkdir(parents=True, exist_ok=True)
    # What words cost on a device (`make bench-device`) stands in the same file.
    kept = json.loads(bench.read_text())["rows"] if bench.exists() else []
    ours = {row["id"] for row in rows}
    rows += [row for row in kept if row["id"] not in ours]
    bench.write_text(json.dumps({"rows": rows, **found}, indent=1, ensure_ascii=False) + "\n")
