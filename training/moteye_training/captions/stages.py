"""The captioner's steps: maps, pseudo, words, reward, export."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ..cache import write_whole
from ..data import Photo, is_validation, key_bucket, training_photos
from ..text import WORDS, TextTower
from .decoder import Decoder, DecoderSize
from .maps import MapCache
from .nearest import caption_embeddings, nearest, teacher_embeddings
from .quantise import quantise, watch
from .rivals import DECODERS
from .run import Options
from .sentences import PEOPLE, gather, padded
from .tap import I8, Tap, find_tap, pack_of
from .train import (
    HoldOut,
    Maps,
    Rewarded,
    load_decoder,
    real,
    teach_reward,
    teach_words,
    word_vectors,
)
from .vocabulary import Vocabulary

SCENES = ("vn-caption-images", "imagenet-sample", "nips2017-dev", "houses-rooms", "coco-train2017",
          "unsplash-picsum", "houseplant-photos", "imagenette", "pacs-photo")  # fmt: skip
"""Sources without captions that get the teacher's nearest ones."""
VIEWS = 3


@dataclass(frozen=True)
class Plan:
    """Sizes and lengths of the stages."""

    width: int = 160
    states: int = 8
    pretrain_steps: int = 600
    steps: int = 1600
    reward_steps: int = 500
    class_steps: int = 4000
    together_steps: int = 1000
    save_every: int = 200
    batch: int = 128
    share: float = 1.0
    seed: int = 1
    device: str = "cpu"


@dataclass
class Work:
    """Folders, and what the steps share."""

    data: Path
    models: Path
    out: Path
    repo: Path
    plan: Plan

    @property
    def encoder(self) -> Path:
        """The detection encoder, whose map is read."""
        return self.repo / "device/models/accurate/encoder.tflite"

    @cached_property
    def photos(self) -> list[Photo]:
        """All photos that may be trained or chosen on."""
        return training_photos(self.data)

    @cached_property
    def captioned(self) -> list[Photo]:
        """Photos with captions of people; a `share` of those that are not held out."""
        return [
            p for p in self.photos
            if p.captions and p.source in PEOPLE
            and (is_validation(p) or key_bucket("share:" + p.key, 1000) < 1000 * self.plan.share)
        ]  # fmt: skip

    @cached_property
    def tap(self) -> Tap:
        """Where the encoder's map is read."""
        return find_tap(self.encoder)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of the captions that are trained on."""
        said = [
            text for p in self.photos
            if p.source in PEOPLE and not is_validation(p) for text in p.captions
        ]  # fmt: skip
        return Vocabulary.of(said)

    @cached_property
    def maps(self) -> tuple[I8, dict[tuple[str, int], int]]:
        """Maps of the captioned photos."""
        wanted = [
            (p, view) for p in self.photos
            if p.captions and p.source in PEOPLE for view in range(VIEWS)
        ]  # fmt: skip
        return MapCache(self.out / "maps", self.encoder).fill(wanted)

    @cached_property
    def hold_out(self) -> HoldOut:
        """The photos that choices are made on."""
        return HoldOut(self.captioned, self.vocabulary, self.maps[0], self.tap, self.maps[1])

    def fresh(self, kind: str = "attssm", seed: int | None = None) -> Decoder:
        """A decoder whose words are placed as the text tower places them; `kind` of DECODERS."""
        torch.manual_seed(self.plan.seed if seed is None else seed)
        size = DecoderSize(
            self.tap.positions, self.tap.channels, len(self.vocabulary), self.plan.width,
            self.plan.states,
        )  # fmt: skip
        model = DECODERS[kind](size)
        self.place_words(model)
        return model.to(self.plan.device)

    def place_words(self, model: Decoder) -> None:
        """Begin with the word vectors of the text tower."""
        cached = self.out / "words.npy"
        if not cached.exists():
            tower = TextTower(self.repo / WORDS)
            texts = [text or "end of the sentence" for text in self.vocabulary.texts]
            write_whole(cached, lambda file: np.save(file, tower.encode(texts)))
        with torch.no_grad():
            placed = word_vectors(self.vocabulary, np.load(cached), self.plan.width)
            model.words.weight.copy_(torch.from_numpy(placed))


def pseudo_captions(work: Work) -> dict[str, list[str]]:
    """The teacher's captions of photos that have none, by photo; empty before `pseudo` was run."""
    path = work.out / "pseudo.json"
    found: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def pseudo(work: Work) -> None:
    """Write `OUT/pseudo.json`: for scenes without captions, the teacher's two nearest ones."""
    path = work.out / "pseudo.json"
    if path.exists():
        return
    photos = [p for p in work.photos if p.source in SCENES and not p.captions]
    photos = [p for p in photos if not is_validation(p)]
    texts = sorted({t for p in work.captioned if not is_validation(p) for t in p.captions})
    pictures = teacher_embeddings(photos, work.models, work.repo / "training/teacher/alignment.npz")
    said = caption_embeddings(texts, work.repo / WORDS)
    rows = nearest(pictures, said, 2)
    found = {p.key: [texts[at] for at in row] for p, row in zip(photos, rows, strict=True)}
    write_whole(path, lambda file: file.write(json.dumps(found, indent=0).encode()))


def words(work: Work) -> None:
    """Pre-train on the teacher's and labels' sentences where there are any; then on people's."""
    plan, model = work.plan, work.fresh()
    folder = work.out / "decoder"
    maps, places = work.maps
    pseudo = pseudo_captions(work)
    if pseudo and plan.pretrain_steps:
        others = [p for p in work.photos if p.key in pseudo]
        more, more_places = MapCache(work.out / "maps_pseudo", work.encoder).fill(
            [(p, 0) for p in others]
        )
        sentences = gather([*work.captioned, *others], work.vocabulary, pseudo, labels=True)
        both = np.concatenate((maps, more))
        joined = places | {pair: row + len(maps) for pair, row in more_places.items()}
        teach_words(
            model, sentences, Maps.of(both, work.tap, joined, sentences.keys), work.hold_out,
            Options("pretrain", plan.pretrain_steps, plan.batch, seed=plan.seed), folder,
        )  # fmt: skip
    sentences = gather(work.captioned, work.vocabulary, {}, labels=False)
    print(f"words: {len(work.vocabulary)} words, {len(sentences.weight)} captions", flush=True)
    options = Options("words", plan.steps, plan.batch, seed=plan.seed + 1)
    if pseudo:
        options = replace(options, rate=1.5e-3)
    teach_words(
        model, sentences, Maps.of(maps, work.tap, places, sentences.keys), work.hold_out, options,
        folder,
    )  # fmt: skip


def reward_options(plan: Plan) -> Options:
    """Of the last stage, whichever encoder it reads."""
    return Options(
        "reward", plan.reward_steps, plan.batch, rate=2e-4, dropout=0.0, ema=0.99,
        seed=plan.seed + 3, save_every=50,
    )  # fmt: skip


def reward(work: Work) -> None:
    """CIDEr-D as reward, from the averaged decoder of `words`."""
    plan, folder = work.plan, work.out / "decoder"
    model = load_decoder(folder / "words.pt").to(plan.device)
    maps, places = work.maps
    learnt = [p for p in work.captioned if not is_validation(p)]
    keys = [p.key for p in learnt]
    teach_reward(
        model, Rewarded(learnt, work.vocabulary, keys), Maps.of(maps, work.tap, places, keys),
        work.hold_out, reward_options(plan), folder,
    )  # fmt: skip


def calibration(work: Work, count: int = 512) -> tuple[list[Photo], np.ndarray]:
    """(training photos, int64[count, LONGEST] a caption of each)."""
    learnt = [p for p in work.captioned if not is_validation(p)]
    chosen = [learnt[at] for at in np.random.default_rng(work.plan.seed).permutation(len(learnt))]
    chosen = chosen[:count]
    return chosen, padded([work.vocabulary.encode(p.captions[0]) for p in chosen])


def newest(folder: Path) -> Path:
    """The file of the latest stage that is done or under way."""
    for name in ("reward", "words"):
        if (folder / f"{name}.pt").exists():
            return folder / f"{name}.pt"
    raise FileNotFoundError(f"{folder}: no decoder yet; run the step `words` first")


def export(work: Work) -> None:
    """Quantise (CFQ: ranges on the int8 encoder's maps) and write `captions.cpk`."""
    path = newest(work.out / "decoder")
    chosen, said = calibration(work)
    maps, places = work.maps
    rows = np.array([places[p.key, 0] for p in chosen])
    model = load_decoder(path)
    ranges = watch(model, real(maps[rows], work.tap), torch.from_numpy(said))
    encoder = pack_of(work.encoder)
    raw = quantise(model, ranges, work.tap, encoder, work.vocabulary.texts).to_bytes()
    out = work.encoder.with_name("captions.cpk")
    out.write_bytes(raw)
    print(f"export: {path.name} -> {out} ({len(raw):,} bytes), ranges {ranges.limit}")
