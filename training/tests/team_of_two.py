"""One process of the team that `test_team` starts; writes what it saw as OUT/RANK.json."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from moteye_training.distil import DistilOptions, Words, distil
from moteye_training.plain import plain_student
from moteye_training.rows import Rows
from moteye_training.team import join_team
from moteye_training.truth import COCO_NAMES, TextBank
from torch.nn import functional as F

COUNT, SIDE = 48, 32


def make_rows(drawn):
    """Views whose pixels, targets and texts are noise; what is drawn of them is noted."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
    target = rng.normal(size=(COUNT, 256)).astype(np.float16)
    every, ones = np.arange(COUNT), np.ones(COUNT)
    classes = np.full((COUNT, 1000), 1e-3, np.float16)
    rows = Rows(
        [pixels], 0 * every, every, target, classes, every, 0 * every - 1, ones, ones == 1
    )  # fmt: skip
    load = rows.load
    rows.load = lambda chosen: (drawn.append(chosen.tolist()), load(chosen))[1]
    return rows


def make_words():
    """As many names as there must be."""
    torch.manual_seed(5)

    def names(count):
        return F.normalize(torch.randn(count, 256), dim=1)

    vectors = np.random.default_rng(1).normal(size=(4, 384)).astype(np.float32)
    bank = TextBank(vectors, tuple(np.array([n % 4]) for n in range(COUNT)))
    unknown = torch.full((COUNT, len(COCO_NAMES)), -1, dtype=torch.int8)
    return Words(bank, names(4), {}, unknown, names(len(COCO_NAMES)), names(20))


def main(out):
    team = join_team()
    torch.manual_seed(team.rank)
    saw = {"found": False}
    with team.first_leader():
        saw["found"] = (out / "filled").exists()
        (out / "filled").touch()
    weight = torch.nn.Parameter(torch.randn(3, 4))
    own = weight.detach().pow(2)
    weight.grad = own.clone()
    team.mean_gradients([weight, torch.nn.Parameter(torch.ones(2))])
    saw |= {"own": own.tolist(), "mean": weight.grad.tolist()}
    layer = torch.nn.Linear(2, 2)
    team.share_weights(layer)
    saw |= {"weights": layer.weight.tolist(), "said": team.leader_says(10.0 + team.rank)}

    drawn = []
    options = DistilOptions(steps=6, batch=8, frozen_blocks=0)
    folder = out / f"run{team.rank}"
    student = plain_student(SIDE)
    rows, words = make_rows(drawn), make_words()
    distil(student, rows, words, options, folder, torch.device("cpu"), team=team)
    saw |= {
        "trained": student.head.weight.flatten()[:50].tolist(),
        "drawn": drawn[-3:],
        "files": sorted(p.name for p in folder.glob("*.pt")) if folder.exists() else [],
    }
    (out / f"{team.rank}.json").write_text(json.dumps(saw))


main(Path(sys.argv[1]))
