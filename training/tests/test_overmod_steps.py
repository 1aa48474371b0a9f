"""Stages 2 to 4 with an encoder of its own, on a shard of a few photos in the real format."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from moteye_training.captions.overmod import steps, work
from moteye_training.captions.overmod.compare import ablation, of_stage
from moteye_training.captions.overmod.encoder import OverMod
from moteye_training.captions.overmod.sizes import ENCODERS
from moteye_training.captions.overmod.whole import load_whole
from moteye_training.captions.run import Options, Run
from moteye_training.captions.stages import Plan
from moteye_training.captions.train import load_decoder
from moteye_training.data import is_validation, training_photos
from support.shards import picture, write_shard

REPO = Path(__file__).resolve().parents[2]
SMALL = dataclasses.replace(
    ENCODERS["nano"], side=64, channels=(8, 12, 16, 24), over=(1, 1, 1, 1), mod=(1, 1), fused=24
)
SIZES = {"small": SMALL, "fused": dataclasses.replace(SMALL, fusion=1)}


def record(number):
    thing = ("dog", "cat")[number % 2]
    said = [
        f"a {thing} sits on a {colour} mat" for colour in ("red", "blue", "green", "red", "old")
    ]
    return json.dumps({"source": "coco-val2017", "label": "", "captions": said}).encode()


@pytest.fixture(params=list(SIZES))
def own(request, tmp_path, monkeypatch):
    """Work of a size, whose first stage is done: random weights."""
    monkeypatch.setitem(ENCODERS, request.param, SIZES[request.param])
    members = {}
    for number in range(60):
        members[f"p{number}.jpg"] = picture(24 + number % 3)
        members[f"p{number}.json"] = record(number)
    for name in ("train-000.tar", "eval-000.tar"):
        write_shard(tmp_path / name, members)
    plan = Plan(
        width=16, states=4, steps=3, together_steps=2, reward_steps=2, batch=8, save_every=2
    )
    out = tmp_path / "out"
    torch.manual_seed(0)
    run = Run(OverMod(SIZES[request.param]), Options("classes", 1), out)
    out.mkdir()
    run.save()
    return work.OwnWork(tmp_path, tmp_path, out, REPO, plan, request.param)


def test_stages_hand_on_what_they_learnt(own):
    photos = training_photos(own.data)
    assert any(is_validation(photo) for photo in photos)
    steps.words(own)
    before = torch.load(own.out / "classes.pt", weights_only=True)["average"]
    if own.size.fusion:
        frozen = load_whole(own.out / "words.pt").encoder.encoder.state_dict()
        for name, value in frozen.items():
            assert torch.equal(value, before[name]), name
    steps.together(own)
    whole = load_whole(own.out / "together.pt")
    after = whole.encoder.encoder.state_dict()
    assert not torch.equal(after["stem.0.conv.weight"], before["stem.0.conv.weight"])
    steps.reward(own)
    rewarded = load_decoder(own.out / "reward.pt")
    assert not torch.equal(rewarded.view.weight, whole.decoder.view.weight)
    assert rewarded.size == whole.decoder.size


def test_each_stage_is_taken_up_as_it_was_left(own):
    for stage in ("words", "together", "reward"):
        getattr(steps, stage)(own)
        encoder, decoder = of_stage(own, stage)
        maps = encoder.eval()(torch.zeros(1, 3, 64, 64))
        assert decoder.look(maps).shape == (1, 4, 16)
    stored = torch.load(own.out / "reward.pt", weights_only=True)
    assert torch.equal(stored["average"]["view.weight"], decoder.view.weight)


@pytest.mark.parametrize("own", ["fused"], indirect=True)
def test_ablation_refuses_a_fusion_that_mixes(own):
    with pytest.raises(ValueError, match="fused's fusion mixes"):
        ablation(own, 1)
