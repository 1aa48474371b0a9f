"""Figures that need PyTorch: text tower against its float model, encoder against its float weights.

Both are kept in `metrics.json` beside the encoder, with the command, for `evaluate` to reprint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .augment import box_resize
from .data import evaluation_photos, is_validation, open_photo
from .figures import RATIO_OF, mean_loss, row
from .paired import loss_interval
from .protocol import make_protocol, measure_embeddings
from .run import Paths, Run
from .text import PROMPTS, TextTower

COMMAND = "python -m moteye_training"


def keep_rows(paths: Paths, rows: list[dict[str, Any]]) -> None:
    """Put rows into `metrics.json`, in place of older ones of the same id."""
    path = paths.pack / "metrics.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    fresh = {entry["id"] for entry in rows}
    kept = [entry for entry in stored.get("stored_rows", []) if entry["id"] not in fresh]
    stored["stored_rows"] = kept + rows
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n")


def text_agreement(run: Run) -> None:
    """Cosine of the shipped text tower to float MiniLM: tag words, and hold-out captions."""
    from .minilm import encode_float

    tags = run.paths.tags
    captions = [c for photo in run.photos if is_validation(photo) for c in photo.captions]
    tower = TextTower(run.paths.words)
    sets = {
        "text.cosine": ([PROMPTS[1].format(tag) for tag in tags], "tag words as a photo of {}"),
        "text.cosine.words": (tags, "bare tag words"),
        "text.cosine.captions": (captions, "captions of hold-out photos"),
    }
    rows = []
    for identity, (texts, what) in sets.items():
        cosine = (tower.encode(texts) * encode_float(texts)).sum(1)
        note = f"n={len(texts)}, {what}; mean, least {cosine.min():.4f}; {COMMAND} evaluate-text"
        rows.append(row(identity, float(cosine.mean()), "cosine", note, "float MiniLM", 1.0))
        print(f"{identity} mean {cosine.mean():.4f} least {cosine.min():.4f} n {len(texts)}")
    keep_rows(run.paths, rows)


def float_loss(run: Run, checkpoint: Path | None) -> None:
    """Points (mean of the summary measures x 100) that the int8 file loses to float weights.

    Where the checkpoint is a `.tflite`, to its own weights with float activations: what remains to
    be measured when the training's checkpoint is gone.
    """
    import torch

    from .calibrate import encode_photos
    from .distil import embed, load_student
    from .encoder import split_work
    from .inherit import inherit
    from .student import make_student

    paths, model = run.paths, run.paths.model
    photos = evaluation_photos(paths.data)
    student = make_student(paths.models, run.point, pretrained=False)
    pixels = np.stack([box_resize(np.asarray(open_photo(photo)), student.side) for photo in photos])
    name = f"{model}.int8_loss_points"
    if checkpoint is not None and checkpoint.suffix == ".tflite":
        inherit(student, checkpoint, (), pixels[:256]).eval()
        name = f"{model}.int8_activation_loss_points"
    else:
        load_student(student, checkpoint or paths.out / "student.pt")
    floats = embed(student, pixels, torch.device("cpu"))
    integers = split_work(encode_photos, photos, paths.encoder, workers=run.plan.workers)
    integers = integers.astype(np.float32)
    protocol = make_protocol(photos, TextTower(paths.words), run.space)
    note = f"n={len(photos)}, 256 dimensions, {COMMAND} evaluate-float"
    above, below = (measure_embeddings(protocol, x, 256) for x in (floats, integers))
    low, high = loss_interval(protocol, floats, integers)
    lost = mean_loss(above, below)
    rows = [row(name, lost, "points", f"{note}, 95 % {low:.2f} to {high:.2f}")]
    if name.endswith("int8_loss_points"):
        rows += [row(f"{model}.float.{one}", above[one].value, "share", note) for one in RATIO_OF]
    for one in RATIO_OF:
        print(f"{one} float {above[one].value:.3f} int8 {below[one].value:.3f}")
    print(f"{name} {lost:.2f}, 95 % {low:.2f} to {high:.2f}")
    keep_rows(paths, rows)
