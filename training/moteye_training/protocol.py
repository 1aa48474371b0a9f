"""The evaluation protocol: which photos are told apart by which names, and the figures of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Photo
from .measure import auc, average_precision, bootstrap, presence_map, rank_of_truth
from .space import Space
from .text import F32, TextTower, normalise
from .truth import HOUSEHOLD

SHOTS = 5
"""Example photos a name in the few-shot measure."""


@dataclass
class Measured:
    """One figure: value, 95 % interval, number of photos, chance."""

    value: float
    low: float
    high: float
    n: int
    chance: float


@dataclass
class Task:
    """Names a set's photos are told apart by; `rows` index the evaluation photos."""

    id: str
    rows: NDArray[np.int64]
    truth: NDArray[np.int64]
    names: list[str]


@dataclass
class Protocol:
    """All tasks over the evaluation photos, and the phrases' embeddings in a space.

    `texts` are the phrases as the text tower gives them, `vectors` the same in the space.
    """

    photos: list[Photo]
    tasks: list[Task]
    household_rows: NDArray[np.int64]
    household_known: NDArray[np.int8]
    plant_rows: NDArray[np.int64]
    plant_present: NDArray[np.bool_]
    caption_rows: NDArray[np.int64]
    texts: dict[str, F32]
    vectors: dict[str, F32]

    def into(self, space: Space) -> Protocol:
        """The same tasks with the phrases in another space."""
        vectors = {name: space.texts(text) for name, text in self.texts.items()}
        return replace(self, vectors=vectors)

    def phrases(self, names: Sequence[str]) -> F32:
        """float32[K, 256] of names that were embedded before."""
        return np.stack([self.vectors[name] for name in names])


def make_protocol(photos: list[Photo], text: TextTower, space: Space) -> Protocol:
    """Collect the sets and embed every name and first caption once."""

    def of_set(name: str) -> list[int]:
        return [i for i, photo in enumerate(photos) if photo.eval_set == name]

    def names_of(*sets: str) -> list[str]:
        return sorted({photos[i].label_text for s in sets for i in of_set(s)})

    caltech, flowers = ("caltech-unseen", "caltech-seen"), ("flowers-seen", "flowers-unseen")
    plan = (
        ("caltech_unseen100", "caltech-unseen", names_of(*caltech)),
        ("caltech_unseen50", "caltech-unseen", names_of("caltech-unseen")),
        ("caltech_seen100", "caltech-seen", names_of(*caltech)),
        ("flowers_seen", "flowers-seen", names_of(*flowers)),
        ("flowers_unseen", "flowers-unseen", names_of(*flowers)),
        ("grocery", "grocery", names_of("grocery")),
        ("nips17", "nips17-imagenet", names_of("nips17-imagenet")),
    )
    tasks = []
    for identity, eval_set, names in plan:
        rows = of_set(eval_set)
        truth = np.array([names.index(photos[i].label_text) for i in rows])
        tasks.append(Task(identity, np.array(rows), truth, names))
    coco, plants = of_set("coco-eval"), of_set("plants")
    known = np.array([[n in photos[i].box_names for n in HOUSEHOLD] for i in coco], np.int8)
    present = np.array([bool(photos[i].plant) for i in plants])
    every = list(dict.fromkeys([*HOUSEHOLD, *(n for task in tasks for n in task.names)]))
    texts = dict(zip(every, text.phrases(every), strict=True))
    texts["captions"] = text.encode([photos[i].captions[0] for i in coco])
    found = Protocol(
        photos, tasks, np.array(coco), known, np.array(plants), present, np.array(coco), texts, {}
    )
    return found.into(space)


def _share(hits: NDArray[Any]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float(hits[rows].mean())


def measure_embeddings(protocol: Protocol, embedding: F32, dim: int) -> dict[str, Measured]:
    """All figures of embeddings float32[N, 256] over the evaluation photos, at a prefix."""

    def cut(x: F32) -> F32:
        return normalise(x[..., :dim])

    pictures = cut(embedding)
    found: dict[str, Measured] = {}
    for task in protocol.tasks:
        rank = rank_of_truth(pictures[task.rows] @ cut(protocol.phrases(task.names)).T, task.truth)
        for top in (1, 5):
            hits = rank < top
            low, high = bootstrap(len(hits), _share(hits))
            found[f"{task.id}.top{top}"] = Measured(
                float(hits.mean()), low, high, len(hits), top / len(task.names)
            )
    scores = pictures[protocol.household_rows] @ cut(protocol.phrases(HOUSEHOLD)).T
    known = protocol.household_known
    value, each = presence_map(scores, known)
    low, high = bootstrap(len(scores), lambda r: presence_map(scores[r], known[r])[0], draws=100)
    chance = float(known.mean())
    found["household24.map"] = Measured(value, low, high, len(scores), chance)
    for column, precision in each.items():
        base = float(known[:, column].mean())
        name = HOUSEHOLD[column].replace(" ", "_")
        found[f"household24.{name}.ap"] = Measured(precision, np.nan, np.nan, len(scores), base)
    present = protocol.plant_present
    plant = (pictures[protocol.plant_rows] @ cut(protocol.phrases(["potted plant"])).T)[:, 0]
    for name, statistic, base in (
        ("auc", auc, 0.5),
        ("ap", average_precision, float(present.mean())),
    ):

        def of_rows(rows: NDArray[np.int64], statistic: Callable[..., float] = statistic) -> float:
            return statistic(present[rows], plant[rows])

        low, high = bootstrap(len(plant), of_rows)
        found[f"plants.{name}"] = Measured(statistic(present, plant), low, high, len(plant), base)
    unseen = next(task for task in protocol.tasks if task.id == "caltech_unseen50")
    found["fiveshot.caltech_unseen"] = few_shot(pictures, unseen)
    matched = pictures[protocol.caption_rows] @ cut(protocol.vectors["captions"]).T
    rank = rank_of_truth(matched, np.arange(len(matched)))
    for top in (1, 5):
        hits = rank < top
        low, high = bootstrap(len(hits), _share(hits))
        found[f"captions.r{top}"] = Measured(
            float(hits.mean()), low, high, len(hits), top / len(hits)
        )
    return found


def few_shot(pictures: F32, task: Task) -> Measured:
    """Top-1 of the task's own names by the mean of SHOTS example photos each, on the others.

    pictures float32[N, d], rows of length 1; the examples are the first photos in shard order.
    """
    own = np.unique(task.truth)
    examples = np.concatenate([np.flatnonzero(task.truth == name)[:SHOTS] for name in own])
    rest = np.setdiff1d(np.arange(len(task.truth)), examples)
    groups = pictures[task.rows[examples]].reshape(len(own), SHOTS, -1)
    prototypes = normalise(groups.mean(1))
    best = own[(pictures[task.rows[rest]] @ prototypes.T).argmax(1)]
    hits = best == task.truth[rest]
    low, high = bootstrap(len(hits), _share(hits))
    return Measured(float(hits.mean()), low, high, len(hits), 1 / len(own))
