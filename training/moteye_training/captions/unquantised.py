"""What quantisation costs: captions of the float chain, and of a decoder quantised by itself.

CFQ, as shipped, takes the decoder's ranges from the maps of the *int8* encoder. Beside it: float
encoder and float decoder; and independent quantisation, ranges from maps of the float encoder, on
which the decoder then never runs. The float encoder has the shipped file's weights, rounded as they
are: what is compared is the arithmetic and the ranges.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace

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
from .decoder import AttSSM, State
from .evaluate import BEAMS, FLOAT, INDEPENDENT, evaluation, pack_captions, whole_maps
from .integer import caption
from .pack import CaptionPack
from .quantise import quantise, watch
from .stages import Work, calibration, load_decoder, newest
from .tap import I8
from .vocabulary import LONGEST

STATISTICS = 256
"""Photos for the statistics of the float encoder's BN, which change nothing that it computes."""


class FloatDecoder:
    """AttSSM as the beam search of the integer reference asks for it; scores in Q10, rounded."""

    def __init__(self, model: AttSSM) -> None:
        self._model = model
        self.pack = SimpleNamespace(sizes=SimpleNamespace(longest=LONGEST))

    @torch.no_grad()
    def look(self, maps: Tensor) -> Tensor:
        """Float [1, P, D] of float [P, C]."""
        return self._model.look(maps[None])

    def start(self) -> State:
        """The state before the first word."""
        return self._model.start(1)

    @torch.no_grad()
    def advance(self, seen: Tensor, number: int, state: State) -> State:
        """The state after a word."""
        vector = self._model.words(torch.tensor([number]))
        return self._model.advance(seen, vector, state)[1]

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> np.ndarray:
        """Q10 [V]."""
        return np.asarray(np.rint(1024 * self._model.logits(hidden)[0].double().numpy()), np.int64)

    def log_sum(self, scores: np.ndarray) -> int:
        """Ln of the sum of exp(score), Q10."""
        real = scores / 1024
        return int(np.rint(1024 * (real.max() + np.log(np.exp(real - real.max()).sum()))))


@torch.no_grad()
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
    """Write `training/captions/unquantised.json`: sentences of `coco-eval`, by who says them."""
    model = load_decoder(newest(work.out / "decoder"))
    chosen, said = calibration(work)
    student = make_student(work.models, POINTS["accurate"], pretrained=False)
    pixels = np.stack([squash(open_photo(p), STUDENT_SIDE) for p in chosen[:STATISTICS]])
    inherit(student, work.encoder, (), pixels).eval()
    ranges = watch(model, float_maps(student, chosen), torch.from_numpy(said))
    print(f"independent ranges {ranges.limit}", flush=True)
    encoder = work.encoder.with_suffix(".mpk").read_bytes()
    raw = quantise(model, ranges, work.tap, encoder, work.vocabulary.texts).to_bytes()
    independent = CaptionPack.from_bytes(raw)
    photos = evaluation(work.data)
    decoder = FloatDecoder(model)
    texts = work.vocabulary.texts
    in_float = [
        " ".join(texts[word] for word in caption(decoder, one, BEAMS).words)  # type: ignore[arg-type]
        for one in tqdm(float_maps(student, photos), unit="caption", mininterval=20)
    ]
    maps: I8 = whole_maps(photos, work.out, work.encoder)
    sentences = {FLOAT: in_float, INDEPENDENT: pack_captions(independent, maps)}
    path = work.repo / "training/captions/unquantised.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sentences, indent=0) + "\n")
    print(f"compare: {len(photos)} captions each -> {path}", flush=True)
