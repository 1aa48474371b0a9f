"""OverMod: sizes as published, kernels that merge exactly, stages that resume."""

import dataclasses

import numpy as np
import pytest
import torch
from moteye_training.captions.overmod.blocks import DynamicConv, Gsm
from moteye_training.captions.overmod.classify import Taught, teach_classes
from moteye_training.captions.overmod.encoder import CaptionEncoder, OverMod
from moteye_training.captions.overmod.layers import DilatedRep, Grn, merged
from moteye_training.captions.overmod.operators import build, file_bytes, listed
from moteye_training.captions.overmod.sizes import (
    DECODER_WIDTH,
    ENCODERS,
    KARPATHY_WORDS,
    LSTM_WIDTH,
    PUBLISHED,
    STATES,
)
from moteye_training.captions.rivals import LstmAttention, parameters
from moteye_training.captions.run import Options
from moteye_training.data import Photo

MB = 1e6
SMALL = dataclasses.replace(
    ENCODERS["nano"], side=64, channels=(8, 12, 16, 24), over=(1, 1, 1, 1), mod=(1, 1), fused=24
)


def stirred(model):
    """Random weights, statistics and gains, so that nothing is zero or one by chance."""
    torch.manual_seed(3)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_dilated_branches_merge_into_one_kernel_exactly(kernel):
    layer = stirred(DilatedRep(6, kernel)).double()
    x = torch.randn(2, 6, 11, 9, dtype=torch.double)
    with torch.no_grad():
        before = layer(x)
        layer.merge()
        after = layer(x)
    assert [m.kernel_size for m in layer.modules() if isinstance(m, torch.nn.Conv2d)] == [
        (kernel, kernel)
    ]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)


def test_merged_encoder_computes_what_was_trained():
    model = stirred(CaptionEncoder(OverMod(SMALL))).double()
    x = torch.randn(2, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        before = model(x)
        after = merged(model)(x)
    assert before.shape == (2, 4, 12 + 16 + 2 * 24)
    assert not [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9 * float(before.abs().max()))


def test_dynamic_convolution_is_one_with_mixed_kernels():
    layer = stirred(DynamicConv(4, 5, (3, 5))).double()
    merged(layer)
    x, context = torch.randn(1, 4, 9, 9).double(), torch.randn(1, 5, 3, 3).double()
    with torch.no_grad():
        pooled = context.mean((2, 3), keepdim=True)
        shares = [torch.sigmoid(share(pooled)).reshape(4, 1, 1, 1) for share in layer.share]
        narrow, wide = (kernel.wide for kernel in layer.kernels)
        weight = shares[1] * wide.weight
        weight[:, :, 1:4, 1:4] += shares[0] * narrow.weight
        bias = (shares[0].flatten() * narrow.bias) + shares[1].flatten() * wide.bias
        whole = torch.nn.functional.conv2d(x, weight, bias, padding=2, groups=4)
        torch.testing.assert_close(layer(x, context), whole, rtol=0, atol=1e-12)


def test_spatial_modulation_adds_without_bounds():
    gsm = Gsm(3, 4)
    torch.nn.init.constant_(gsm.point.weight, 100.0)
    x, context = torch.zeros(1, 4, 6, 6), torch.ones(1, 3, 3, 3)
    assert float(gsm(x, context).min()) > 250


def test_grn_weighs_channels_by_their_share():
    grn = Grn(2)
    torch.nn.init.ones_(grn.gamma)
    x = torch.stack((torch.full((4, 4), 3.0), torch.full((4, 4), 1.0)))[None]
    norms = torch.tensor([12.0, 4.0])
    expected = x * (1 + norms / norms.mean())[None, :, None, None]
    torch.testing.assert_close(grn(x), expected)


@pytest.mark.parametrize("name", ["t", "s", "b"])
def test_sizes_are_within_5_percent_of_the_published(name):
    encoder, decoder = build(name)
    files = file_bytes(encoder, ("encoder.head",)) / MB, file_bytes(decoder) / MB
    published = PUBLISHED[name]
    found = {
        "encoder_parameters": parameters(encoder.encoder) / MB,
        "encoder_mb": files[0],
        "decoder_mb": files[1],
        "whole_mb": sum(files),
    }
    asked = {k: v for k, v in dataclasses.asdict(published).items() if v}
    assert asked
    for what, value in asked.items():
        assert found[what] == pytest.approx(value, rel=0.05), what
    assert decoder.size.rank == 2
    assert decoder.size.states < 64


def test_lstm_with_attention_is_as_large_as_the_published_one():
    size = build("b")[1].size
    wide = dataclasses.replace(size, width=LSTM_WIDTH, words=KARPATHY_WORDS)
    rival = LstmAttention(wide, cells=LSTM_WIDTH)
    assert file_bytes(rival) / MB == pytest.approx(9.3, rel=0.05)
    assert DECODER_WIDTH["b"] > LSTM_WIDTH
    assert STATES["b"] == 16


def test_nano_fits_a_microcontroller():
    encoder, decoder = build("nano")
    assert file_bytes(encoder, ("encoder.head",)) + file_bytes(decoder) <= 1_600_000
    assert max(part.activations for part in listed("nano").values()) <= 320 * 1024


def test_operators_are_counted_with_what_falls_back():
    found = listed("nano")
    assert found["encoder, a frame"].count["GRN"] == sum(ENCODERS["nano"].over) + sum(
        ENCODERS["nano"].mod
    )
    assert found["decoder, a word"].count["SELECTIVE_SCAN"] == 1
    assert "SOFTMAX" not in found["encoder, a frame"].count


def taught(label):
    photos = [Photo(f"p{n}", "", 0, 0, "test") for n in range(60)]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (60, 64, 64, 3), np.uint8)
    return Taught(photos, np.full(60, label), np.zeros((60, 1000), np.float16), 64, pixels)


def options(steps):
    return Options("classes", steps, batch=8, rate=1e-3, ema=0.5, save_every=2)


def none(_model):
    return {}


def fresh():
    torch.manual_seed(1)
    return OverMod(SMALL)


def test_stage_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(OverMod, "about", lambda _self: {"encoder": "small"})
    whole = teach_classes(fresh(), taught(7), options(4), tmp_path / "a", hold_out=none)
    calls = []

    def cut(_model):
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach_classes(fresh(), taught(7), options(4), tmp_path / "b", hold_out=cut)
    again = teach_classes(fresh(), taught(7), options(4), tmp_path / "b", hold_out=none)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, msg=name)


def test_picture_without_a_target_is_named():
    with pytest.raises(ValueError, match="p3: neither label nor teacher's distribution"):
        taught(-1).target(np.array([3]))
