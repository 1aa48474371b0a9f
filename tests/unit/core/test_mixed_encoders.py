"""One engine for cameras of two encoders."""

from dataclasses import replace

import numpy as np
import pytest
from moteye.core.compile import together
from moteye.core.engine import Engine, Observation
from moteye.policies import load
from moteye.text.space import load_space
from moteye_protocol import wire

POLICY = "see: {}\ncooldown: {{for: 10m, per: [site]}}\nthen: [log]\n"
OTHER = b"8 bytes!"
SHOWS, SHOWS_NOT = 3000, -3000


@pytest.fixture(scope="module")
def space():
    return load_space()


@pytest.fixture
def compiled(space, tmp_path):
    """A cat and a dog; the other encoder has no dog, and wants a cat to be seen more clearly."""
    for name in ("cat", "dog"):
        (tmp_path / f"{name}.yaml").write_text(POLICY.format(f"a {name}"))
    first = space.compile(load(tmp_path), number=1, dim=64)
    cat = [policy for policy in load(tmp_path) if policy.name == "cat"]
    other = replace(space, encoder_hash=OTHER).compile(cat, number=1, dim=64)
    strict = replace(other.policies[0], enter_q8=other.policies[0].enter_q8 + 1000)
    return together(first, [replace(other, policies=(strict,))])


def frames(engine, device, encoder, margins_q8, begin, count=4):
    """The decisions on so many frames that show this."""
    found = []
    for number in range(begin, begin + count):
        seen = Observation(device, 1, number, number, number * 1000, encoder=encoder)
        found += engine.observe(seen, np.array(margins_q8, np.int16))
    return found


def test_each_encoder_has_its_own_thresholds_and_both_one_cooldown_of_the_site(compiled):
    first = compiled.encoder
    engine = Engine()
    engine.replace(compiled.policies)
    for device, encoder in (("a", first), ("b", OTHER)):
        assert frames(engine, device, encoder, [SHOWS_NOT, SHOWS_NOT], 1) == []
    cat = compiled.columns["a cat"]
    own, strict = (item.enter_q8[0] for item in compiled.policies if item.policy.name == "cat")
    between = [SHOWS_NOT, SHOWS_NOT]
    between[cat] = int(own + strict) // 2
    assert frames(engine, "b", OTHER, between, 10) == [], "not enough for the other encoder"
    (alert,) = frames(engine, "a", first, between, 10)
    assert alert.fired
    both = [SHOWS, SHOWS]
    (held,) = frames(engine, "b", OTHER, both, 20)
    assert (held.policy, held.fired) == ("cat", False), "the site's cooldown; a dog is not its own"
    assert "cooldown" in [gate.name for gate in held.gates if not gate.passed]


def test_a_camera_that_gets_another_encoder_begins_anew(compiled):
    engine = Engine()
    engine.replace(compiled.policies)
    frames(engine, "a", compiled.encoder, [SHOWS_NOT] * 2, 1)
    frames(engine, "a", compiled.encoder, [SHOWS] * 2, 10)
    assert engine.present("a") == {"cat", "dog"}
    frames(engine, "a", OTHER, [SHOWS_NOT] * 2, 20, count=1)
    assert engine.present("a") == set()


def test_scores_are_each_encoders_own(compiled, space):
    rows = space.background.embeddings[:4]
    encoders = [compiled.encoder, OTHER, OTHER, compiled.encoder]
    margins = compiled.margins_q8(rows, encoders)
    cat, dog = compiled.columns["a cat"], compiled.columns["a dog"]
    own = compiled.scorer.margins_q8(rows)
    assert np.array_equal(margins[[0, 3]], own[[0, 3]])
    assert np.array_equal(
        margins[[1, 2], cat], compiled.others[OTHER].scorer.margins_q8(rows)[[1, 2], 0]
    )
    assert (margins[[1, 2], dog] == wire.SET_MARGIN_NONE).all()
