import time

import numpy as np
import pytest
from moteye.cli.app import app
from moteye.core.compile import compile_policies
from moteye.core.engine import Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.lints import lint
from moteye.core.past import Recording
from moteye.store import Batch, RecordedEvent, Store, default_url
from moteye.text.space import load_space
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def space():
    return load_space()


def lints(space, *texts, cameras=None, recording=None):
    found = [
        parse_policy(f"{text}\nthen: [log]\n", "p", name)
        for text, name in zip(texts, "pqrs", strict=False)
    ]
    compiled = compile_policies(
        found,
        space.phrase_vectors,
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=256,
    )
    made = None if recording is None else recording(compiled)
    return [str(one) for one in lint(compiled, cameras, made, positions=False)]


def test_phrases_of_two_policies_that_look_alike_are_named_with_their_similarity(space):
    (found,) = lints(space, "see: a cup of coffee", "see: a mug of coffee")
    assert found.startswith(
        "p: 'a cup of coffee' and 'a mug of coffee' of q are hard to tell apart: similarity 0.9"
    )


def test_phrases_of_one_list_may_be_alike_but_not_those_of_not(space):
    alike = "see: [a cup of coffee, a mug of coffee]\ncertainty: p >= 0.9"
    assert not [text for text in lints(space, alike) if "tell apart" in text]
    against = "see: {any: a cup of coffee, not: a mug of coffee}\ncertainty: p >= 0.9"
    assert [text for text in lints(space, against) if "tell apart" in text]


def test_a_probability_that_much_of_the_background_reaches_is_named(space):
    (found,) = lints(space, "see: a dog\ncertainty: p >= 0.05")
    assert "'a dog': p >= 0.05 may fire on much background: 95 % interval" in found


def test_a_promise_that_the_bank_cannot_keep_apart_is_named(space):
    many = ", ".join(f"a {thing}" for thing in ("cat", "dog", "cup", "car", "tree", "boat", "hat"))
    found = lints(space, f"see: [{many}]\ncertainty: sure")
    assert any("sure promises 0.01, within the calibration's error" in text for text in found)


def test_cameras_that_were_never_seen_are_named(space):
    text = "see: a cat\ncameras: [door, porch-*]"
    assert lints(space, text, cameras={"porch-1"}) == []
    assert lints(space, text, cameras=None) == []
    (found,) = lints(space, text, cameras={"kitchen"})
    assert found == "p: no camera is called door, porch-*; seen so far: kitchen"


def test_strict_ends_with_1_on_any_and_knows_the_cameras_of_the_store(tmp_path):
    (tmp_path / "p.yaml").write_text("see: a cat\ncameras: porch\nthen: [log]\n")
    arguments = ["policies", "check", str(tmp_path / "p.yaml"), "--strict"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    Store(default_url()).commit(Batch(devices={"kitchen": (1, "-1:0", None)}))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "no camera is called porch; seen so far: kitchen" in done.output


def test_groups_and_zones_of_cameras_that_are_not_there_are_named(space):
    group = "see: a cat\ngroups: {front: [door, porch-*]}\ncameras: [front, hall]"
    assert lints(space, group, cameras={"hall", "porch-1"}) == []
    (found,) = lints(space, group, cameras={"hall"})
    assert found == "p: no camera of group front is known; seen so far: hall"
    (found,) = lints(space, group, cameras={"front", "door"})
    assert found == "p: front is the name of a group and of a camera; the group counts"


def test_a_policy_that_asks_where_things_are_can_never_alert_without_positions(space):
    zone = "{polygon: [[0, 0], [1, 0], [1, 1]], cameras: door}"
    text = f"see: a cat\nzones: {{mat: {zone}}}\nin: mat\ncount: '>= 2'\ncameras: [door, hall]"
    found = lints(space, text, cameras={"hall"})
    assert found[0].startswith("p: `in` and `count` never holds: the encoder sees the whole")
    assert found[1] == "p: zone mat is of door: not watched"


def past(rng, share: float, frames: int = 1000):
    """A recording of one camera, a frame a minute, that shows the words on `share` of them."""

    def make(compiled):
        made = Recording(compiled)
        engine = Engine()
        engine.replace(compiled.policies)
        enter = int(compiled.policies[0].enter_q8.max())
        held = np.where(rng.random(frames) < share, enter + 200, enter - 900)
        margins = np.tile(held[:, None], (1, len(compiled.built.prototypes.names)))
        margins = margins.astype(np.int16)
        seen = [Observation("cam", 1, n, n, 60_000 * n) for n in range(frames)]
        made.take(seen[:600], margins[:600])
        made.take(seen[600:], margins[600:])
        for decisions in engine.observe_batch(seen, margins):
            for decision in decisions:
                made.decided(decision)
        return made

    return make


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "never alerts in 1,000 frames of 0.7 days; the nearest was -3.52 of its threshold"),
        (0.95, "in 1,000 frames of 0.7 days: that is what is usual there; add `new: true`"),
        (0.3, "in 1,000 frames of 0.7 days; a longer `cooldown`, `for` or `sure`"),
    ],
)
def test_rules_that_alert_never_or_always_by_the_recording_are_named(space, share, words):
    rng = np.random.default_rng(1)
    found = lints(space, "see: a cat\ncertainty: p >= 0.95", recording=past(rng, share))
    assert [text for text in found if words in text], found


def test_a_short_recording_says_nothing_and_a_good_rule_is_left_alone(space):
    rng = np.random.default_rng(1)
    text = "see: a cat\ncertainty: p >= 0.95"
    assert lints(space, text, recording=past(rng, 0.0, frames=100)) == []
    assert lints(space, text, recording=past(rng, 0.08)) == []


def test_the_forecast_covers_the_rate_that_it_was_made_from(space):
    rng = np.random.default_rng(2)
    policy = parse_policy("see: a cat\nthen: [log]\n", "p", "p")
    recording = Recording(space.compile([policy], number=1, dim=64))
    recording.first_ms, recording.last_ms = 0, 10 * 86_400_000
    covered = 0
    for _ in range(1000):
        recording.pasts["p"].fired = int(rng.poisson(3.0 * 10))
        rate, low, high = recording.a_day("p")
        assert low <= rate <= high
        covered += low <= 3.0 <= high
    assert 930 <= covered <= 970


def test_strict_tries_the_policies_on_what_was_recorded(space, tmp_path):
    (tmp_path / "p.yaml").write_text("see: a cat\nthen: [log]\n")
    now_ms = int(time.time() * 1000)
    rng = np.random.default_rng(3)
    events = [
        RecordedEvent("e", "cam", 1, n, n, now_ms - 60_000 * (400 - n), space.encoder_hash, data)
        for n in range(400)
        for data in [rng.integers(-90, 90, 256, np.int8).tobytes()]
    ]
    Store(default_url()).commit(Batch(devices={"cam": (1, "-1:0", None)}, events=events))
    done = CliRunner().invoke(app, ["policies", "check", str(tmp_path), "--strict"])
    assert done.exit_code == 1
    assert "on the last 0.3 days" in done.output
    assert "p: never alerts in 400 frames of 0.3 days; the nearest was" in done.output
    quiet = ["policies", "check", str(tmp_path), "--strict", "--since", "1m"]
    assert CliRunner().invoke(app, quiet).exit_code == 0
