"""Word by word: float decoder, its pack in integers, and how far they are apart."""

import numpy as np
import pytest
import torch
from moteye.resources import model_dir
from moteye_training.captions.agreement import (
    agreement,
    difference,
    float_words,
    integer_words,
)
from moteye_training.captions.decoder import AttSSM, DecoderSize
from moteye_training.captions.integer import IntDecoder
from moteye_training.captions.quantise import quantise, watch
from moteye_training.captions.sentences import padded
from moteye_training.captions.tap import Tap
from moteye_training.captions.train import real
from moteye_training.captions.vocabulary import UNKNOWN

SIZE = DecoderSize(positions=9, channels=384, words=30, width=16, states=4)
TAP = Tap(9, 384, 0.02, -3)
SAID = [[2, 3, 4], [5, 6], [7, UNKNOWN, 8, 9], [10]] * 5


@pytest.fixture(scope="module")
def chains():
    """A decoder's distributions, those of its pack, and those of a pack of far too wide ranges."""
    torch.manual_seed(0)
    model = AttSSM(SIZE).eval()
    maps = np.random.default_rng(0).integers(-60, 60, (len(SAID), 9, 384), np.int8)
    ranges = watch(model, real(maps, TAP), torch.from_numpy(padded(SAID)))
    encoder = (model_dir() / "encoder.mpk").read_bytes()
    texts = ["", "", *(f"w{n}" for n in range(28))]
    truth = list(float_words(model, real(maps, TAP), SAID))
    found = []
    for wide in (1, 12):
        limit = {name: value * wide for name, value in ranges.limit.items()}
        pack = quantise(model, type(ranges)(limit), TAP, encoder, texts)
        found.append(list(integer_words(IntDecoder(pack), maps, SAID)))
    return truth, *found


def test_a_chain_agrees_with_itself(chains):
    one = agreement(chains[0], chains[0], SAID)
    assert one.words.tolist()[:4] == [4, 3, 4, 2]  # ends count, the unknown word does not
    assert one.figures()["divergence"] == 0
    assert one.figures()["same_percent"] == 100


def test_integers_agree_and_coarser_ones_agree_less(chains):
    truth, fine, coarse = chains
    near, far = agreement(truth, fine, SAID), agreement(truth, coarse, SAID)
    assert 0 < near.figures()["divergence"] < 0.02
    assert near.figures()["loss"] == pytest.approx(
        agreement(truth, truth, SAID).figures()["loss"], abs=0.1
    )
    gap = difference(near, far)
    assert gap["low"] <= gap["mean"] <= gap["high"] < 0
    assert difference(far, near)["mean"] == -gap["mean"]
