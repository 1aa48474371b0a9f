"""What quantisation costs: captions of the float chain, and of a decoder quantised by itself.

CFQ, as shipped, takes the decoder's ranges from the maps of the *int8* encoder. Beside it: float
encoder and float decoder; and independent quantisation, ranges from maps of the float encoder, on
which the decoder then never runs. The float encoder has the shipped file's weights, rounded as they
are: what is compared is the arithmetic and the ranges.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..augment import squash
from ..data import Photo, open_photo
from ..inherit import inherit
from ..operating import POINTS
from ..rows import to_input
from ..student import Student, make_student
from ..towers import STUDENT_SIDE
from .agreement import agreement, difference, float_words, integer_words
from .beam import float_captions
from .evaluate import FLOAT, INDEPENDENT, evaluation, pack_captions, whole_maps
from .integer import IntDecoder
from .pack import CaptionPack
from .quantise import quantise, watch
from .stages import Work, calibration, load_decoder, newest
from .tap import I8, pack_of
from .train import real

STATISTICS = 256
"""Photos for the statistics of the float encoder's BN, which change nothing that it computes."""


def float_maps(student: Student, photos: Sequence[Photo]) -> Tensor:
    """float[N, P, C]: the last map of whole photos."""
    found = []
    for photo in tqdm(photos, unit="photo", mininterval=20):
        pixels = squash(open_photo(photo), STUDENT_SIDE)
        x = to_input(pixels[None], torch.device("cpu"))
        x = student.wide(student.blocks(student.stem(x)))
        found.append(x.flatten(2).transpose(1, 2)[0])
    return torch.stack(found)


def compare(work: Work) -> None:
    """Write `unquantised.json`, sentences of `coco-eval` by who says them, and `agreement.json`.

    Both in `training/captions`; the second says how far each chain's next words are from the float
    chain's. Shipped pack and checkpoint must belong together.
    """
    model = load_decoder(newest(work.out / "decoder"))
    chosen, said = calibration(work)
    student = make_student(work.models, POINTS["accurate"], pretrained=False)
    pixels = np.stack([squash(open_photo(p), STUDENT_SIDE) for p in chosen[:STATISTICS]])
    inherit(student, work.encoder, (), pixels).eval()
    ranges = watch(model, float_maps(student, chosen), torch.from_numpy(said))
    print(f"independent ranges {ranges.limit}", flush=True)
    encoder = pack_of(work.encoder)
    raw = quantise(model, ranges, work.tap, encoder, work.vocabulary.texts).to_bytes()
    independent = CaptionPack.from_bytes(raw)
    photos = evaluation(work.data)
    unrounded = float_maps(student, photos)
    maps: I8 = whole_maps(photos, work.out, work.encoder)
    sentences = {
        FLOAT: float_captions(model, work.vocabulary, unrounded),
        INDEPENDENT: pack_captions(independent, maps),
    }
    folder = work.repo / "training/captions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "unquantised.json").write_text(json.dumps(sentences, indent=0) + "\n")
    shipped = CaptionPack.from_bytes(work.encoder.with_name("captions.cpk").read_bytes())
    given = [work.vocabulary.encode(photo.captions[0]) for photo in photos]
    truth = list(float_words(model, unrounded, given))
    chains = {
        "float decoder on the int8 encoder's map": float_words(model, real(maps, work.tap), given),
        "int8, CFQ": integer_words(IntDecoder(shipped), maps, given),
        "int8, quantised independently": integer_words(IntDecoder(independent), maps, given),
    }
    found = {name: agreement(truth, words, given) for name, words in chains.items()}
    _, coordinated, alone = found.values()
    report = {
        "command": "moteye_training.captions compare",
        "photos": len(photos),
        "words": int(coordinated.words.sum()),
        "chains": {name: one.figures() for name, one in found.items()},
        "cfq_less_independent": difference(coordinated, alone),
    }
    (folder / "agreement.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"compare: {len(photos)} captions each -> {folder}; {report}", flush=True)
