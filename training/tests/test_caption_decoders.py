"""Decoders: equal parameters, beam search as the integer reference decides, resuming."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from moteye_training.captions.beam import beam
from moteye_training.captions.decoder import AttSSM, DecoderSize, greedy
from moteye_training.captions.integer import caption
from moteye_training.captions.rivals import DECODERS, Nic, equal_cells, parameters
from moteye_training.captions.run import Options, Run
from moteye_training.captions.train import caption_loss, load_decoder

SIZE = DecoderSize(positions=4, channels=12, words=40, width=16, states=4)


def decoder(kind="attssm", seed=0):
    torch.manual_seed(seed)
    model = DECODERS[kind](SIZE).eval()
    torch.nn.init.normal_(model.word_bias, std=0.5)
    return model


@pytest.mark.parametrize("size", [dataclasses.replace(SIZE, width=160, words=1495), SIZE])
@pytest.mark.parametrize("kind", ["nic", "lstm-attention"])
def test_rivals_have_as_many_parameters(kind, size):
    if size is SIZE:
        size = dataclasses.replace(size, width=48)
    counts = parameters(DECODERS[kind](size)), parameters(AttSSM(size))
    assert counts[0] == pytest.approx(counts[1], rel=0.03)


def test_size_without_an_equal_rival_is_refused():
    with pytest.raises(ValueError, match="Nic with 8 cells has"):
        equal_cells(Nic, DecoderSize(1, 600, 3, width=2, states=1))


@dataclasses.dataclass
class Stand:
    """A decoder's state, and what its logits are made of: `hidden`, as the reference calls it."""

    state: object
    hidden: torch.Tensor


class OneByOne:
    """A float decoder as `integer.caption` asks for it: a sentence at a time, scores in Q20."""

    pack = SimpleNamespace(sizes=SimpleNamespace(longest=9))

    def __init__(self, model):
        self.model = model

    def look(self, maps):
        return self.model.look(maps[None])

    def start(self):
        return Stand(None, torch.zeros(0))

    def advance(self, seen, number, stand):
        state = self.model.start(seen) if stand.state is None else stand.state
        out, after = self.model.advance(seen, self.model.words(torch.tensor([number])), state)
        return Stand(after, out)

    def logits(self, hidden):
        return np.rint(2**20 * self.model.logits(hidden)[0].double().numpy()).astype(np.int64)

    def log_sum(self, scores):
        real = scores / 2**20
        return int(np.rint(2**20 * (real.max() + np.log(np.exp(real - real.max()).sum()))))


@pytest.mark.parametrize("beams", [1, 3])
def test_batched_beam_search_decides_as_the_integer_reference(beams):
    model = decoder()
    maps = 6 * torch.randn(40, SIZE.positions, SIZE.channels)
    found = beam(model, maps, beams, longest=9)
    lengths = set()
    for one, (words, logp) in zip(maps, found, strict=True):
        with torch.no_grad():
            expected = caption(OneByOne(model), one, beams)
        assert words == expected.words
        assert logp == pytest.approx(expected.logp_q10 / 2**20, abs=1e-3)
        lengths.add(len(words))
    assert len(lengths) > 1


@pytest.mark.parametrize("kind", list(DECODERS))
def test_one_beam_is_greedy(kind):
    model = decoder(kind)
    maps = torch.randn(20, SIZE.positions, SIZE.channels)
    rows = greedy(model, maps, 9).tolist()
    for row, (words, _) in zip(rows, beam(model, maps, 1, longest=9), strict=True):
        assert row[: len(words)] == words
        assert row[len(words) :] in ([], [0] * (9 - len(words)))


@pytest.mark.parametrize("kind", list(DECODERS))
def test_decoder_learns_and_is_stored_whole(kind, tmp_path):
    model = decoder(kind).train()
    run = Run(model, Options("words", steps=30, rate=2e-2, ema=0.5), tmp_path)
    maps, words = torch.randn(8, 4, 12), torch.randint(2, 40, (8, 18))
    length = torch.full((8,), 6)
    words[:, 6:] = 0
    losses = []
    for _ in range(30):
        loss, count = caption_loss(model, maps, words, length, 0.0)
        run.update(loss)
        losses.append(loss.item())
    assert count == 8 * 7
    assert losses[-1] < losses[0] - 0.5
    run.save()
    again = load_decoder(tmp_path / "words.pt")
    assert type(again) is DECODERS[kind]
    for name, value in run.average.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert Run(decoder(kind, seed=5), Options("words", steps=30), tmp_path).step == 30


def test_loss_told_after_a_resumed_stage_is_that_of_its_own_steps(tmp_path, capsys):
    options = Options("words", steps=12, rate=0.0, save_every=6)
    values = [5.0, 3.0]
    for value in values:
        model = decoder().train()
        run = Run(model, options, tmp_path)
        for _ in range(6):
            run.learn(model.word_bias.sum() * 0 + value, lambda _: {}, 0.0, 0)
    told = [line for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert [line.split("loss ")[1].split()[0] for line in told] == ["5.000", "3.000"]


def test_a_stage_of_rewards_tells_the_reward(tmp_path, capsys):
    model = decoder().train()
    run = Run(model, Options("reward", steps=1), tmp_path)
    run.learn(model.word_bias.sum() * 0, lambda _: {"loss": 2.0}, 0.0, 0, ("reward", 41.0))
    assert "reward 41.000 | hold-out loss 2.000" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_dropout_leaves_a_share_of_the_mean(share):
    model = decoder().train()
    model.dropout = share
    x = torch.ones(400, 100)
    torch.manual_seed(0)
    found = model.dropped(x)
    assert (found == 0).float().mean().item() == pytest.approx(share, abs=0.01)
    assert found.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(model.eval().dropped(x), x)


def test_smoothing_spreads_over_all_words_but_the_unknown_one():
    model, maps = decoder(), torch.randn(3, 4, 12)
    words = torch.tensor([[3, 4, 0], [5, 0, 0], [6, 1, 0]])  # 1 is the unknown word
    words = torch.nn.functional.pad(words, (0, 15))
    length = torch.tensor([2, 1, 2])
    given = torch.nn.functional.pad(words[:, :2], (1, 0))
    logits = model(maps, given)
    known = [number for number in range(40) if number != 1]
    expected = []
    for row, (several, length_) in enumerate(zip(words.tolist(), (2, 1, 2), strict=True)):
        for at in range(length_ + 1):
            if several[at] != 1:
                logp = logits[row, at].log_softmax(0)
                expected.append(0.8 * -logp[several[at]] + 0.2 * -logp[known].mean())
    loss, count = caption_loss(model, maps, words, length, 0.2)
    assert count == len(expected)
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)
