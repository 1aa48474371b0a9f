import random

import numpy as np
import pytest
from moteye.core.engine import CompiledPolicy, Engine, Observation, Track
from moteye.core.language import parse_policy
from moteye.core.track import BAND_Q8, EXIT_MARGIN_Q8

ABSENT, PRESENT = -500, 900


def compiled(
    text: str = "", *, name: str = "p", columns=(0,), enter=300, see="", schedule=None
) -> CompiledPolicy:
    see = see or "[" + ", ".join(f"thing {column}" for column in columns) + "]"
    policy = parse_policy(f"see: {see}\nthen: [log]\n{text}", f"{name}.yaml", name)
    enter_q8 = np.full(len(columns), enter, np.int32)
    return CompiledPolicy(policy, np.array(columns), enter_q8, f"{name}:{see}:{text}", schedule)


class Camera:
    """Feeds one engine with frames of one device, one second apart."""

    def __init__(self, *policies: CompiledPolicy, device: str = "cam") -> None:
        self.engine = Engine()
        self.engine.replace(policies)
        self.device = device
        self.frame = 0
        self.time_ms = 1_000_000

    def see(self, *margins: int, step_ms: int = 1000):
        decisions = []
        for margin in margins:
            self.frame += 1
            self.time_ms += step_ms
            seen = Observation(self.device, 1, self.frame, self.frame, self.time_ms)
            row = np.array([margin, ABSENT], np.int16)
            decisions += self.engine.observe(seen, row)
        return decisions


def test_new_fires_once_when_the_thing_arrives():
    camera = Camera(compiled("new: true"))
    assert camera.see(ABSENT, ABSENT) == []
    fired = camera.see(PRESENT, PRESENT, PRESENT, PRESENT)
    assert [decision.fired for decision in fired] == [True]
    assert fired[0].phrase == "thing 0"
    assert (fired[0].margin_q8, fired[0].threshold_q8) == (PRESENT, 300)


def test_new_is_silent_about_what_was_there_from_the_start():
    camera = Camera(compiled("new: true"))
    decisions = camera.see(PRESENT, PRESENT, PRESENT)
    assert [(d.fired, d.reason.split(":")[0]) for d in decisions] == [(False, "known")]


def test_without_new_what_is_there_from_the_start_fires():
    assert [d.fired for d in Camera(compiled()).see(PRESENT, PRESENT, PRESENT)] == [True]


def test_t46_one_spike_never_fires_and_leaves_a_near_miss():
    camera = Camera(compiled())
    decisions = camera.see(ABSENT, PRESENT, ABSENT, PRESENT, ABSENT)
    assert [(d.fired, d.reason) for d in decisions] == [(False, "seen in 1 of 2 frames")]
    assert (decisions[0].frame, decisions[0].margin_q8) == (2, PRESENT)


def test_one_missing_frame_does_not_end_an_episode():
    camera = Camera(compiled("cooldown: 0s"))
    assert len(camera.see(PRESENT, PRESENT, ABSENT, PRESENT, PRESENT)) == 1
    assert len(camera.see(ABSENT, ABSENT, PRESENT, PRESENT)) == 1


def test_an_episode_does_not_end_while_the_score_hovers_at_the_threshold():
    camera = Camera(compiled("cooldown: 0s"))
    assert len(camera.see(*[300 + BAND_Q8] * 2, *[290, 310] * 50)) == 1


UNSURE = (300 - BAND_Q8, 300 - 1, 300, 300 + BAND_Q8 - 1)


@pytest.mark.parametrize("margin", UNSURE)
def test_t44_a_margin_too_near_the_threshold_to_tell_begins_nothing(margin):
    assert Camera(compiled()).see(ABSENT, *[margin] * 20) == []
    assert Camera(compiled("instant: true")).see(ABSENT, *[margin] * 20) == []


@pytest.mark.parametrize("margin", UNSURE)
def test_t46_it_counts_neither_for_nor_against_a_candidate(margin):
    fired = Camera(compiled()).see(ABSENT, PRESENT, *[margin] * 5, PRESENT)
    assert [(d.fired, d.frame) for d in fired] == [(True, 8)]
    camera = Camera(compiled())
    missed = camera.see(ABSENT, PRESENT, *[margin] * 5, ABSENT)
    assert [(d.fired, d.reason) for d in missed] == [(False, "seen in 1 of 2 frames")]


def test_it_neither_ends_an_episode_nor_lengthens_it():
    low = 300 - EXIT_MARGIN_Q8
    for margin in (low - BAND_Q8, low, low + BAND_Q8 - 1):
        camera = Camera(compiled("cooldown: 0s"))
        assert len(camera.see(ABSENT, PRESENT, PRESENT, *[margin] * 20)) == 1
        assert camera.engine.present("cam") == {"p"}
        camera.see(ABSENT, margin, ABSENT)
        assert camera.engine.present("cam") == set(), "one between two frames without"
        assert len(camera.see(PRESENT, PRESENT)) == 1
    camera = Camera(compiled("cooldown: 0s"))
    camera.see(ABSENT, PRESENT, PRESENT, *[low - BAND_Q8 - 1] * 2)
    assert camera.engine.present("cam") == set()


def test_with_gone_it_counts_neither_as_there_nor_as_absent():
    camera = Camera(compiled("gone: 5s"))
    assert camera.see(PRESENT, PRESENT, *[300] * 20) == []
    assert [d.fired for d in camera.see(*[ABSENT] * 7)] == [True]


def test_the_first_look_takes_things_as_they_are():
    camera = Camera(compiled("new: true"))
    decisions = camera.see(300, PRESENT, PRESENT)
    assert [(d.fired, d.reason.split(":")[0]) for d in decisions] == [(False, "known")]


def test_why_says_that_it_could_not_tell():
    camera = Camera(compiled())
    camera.see(ABSENT, PRESENT)
    seen = Observation("cam", 1, 9, 9, camera.time_ms + 1000)
    (policy,) = camera.engine.policies
    _, gates = camera.engine.explain(policy, seen, np.array([310, ABSENT], np.int16))
    assert [(gate.name, gate.passed, gate.text) for gate in gates[:2]] == [
        ("margin", False, "unknown: margin 1.21, within 0.21 of 1.17"),
        ("frames", False, "seen in 1 of 2 frames"),
    ]
    camera.see(PRESENT)
    _, gates = camera.engine.explain(policy, seen, np.array([172, ABSENT], np.int16))
    assert gates[0].text == "unknown: margin 0.67, within 0.21 of 0.67"


def test_for_counts_from_the_first_frame_without_a_break():
    camera = Camera(compiled("for: 5s"))
    before = camera.see(*[PRESENT] * 4, ABSENT, *[PRESENT] * 5)
    assert [(d.fired, d.reason) for d in before] == [(False, "held 3.0 of 5.0 s")]
    assert [decision.fired for decision in camera.see(PRESENT)] == [True]


def test_cooldown_suppresses_the_next_episode_and_says_how_long():
    camera = Camera(compiled("cooldown: 1m"))
    assert camera.see(PRESENT, PRESENT)[0].fired
    second = camera.see(ABSENT, ABSENT, PRESENT, PRESENT)
    assert [(d.fired, d.reason) for d in second] == [(False, "cooldown: 56 s left")]
    third = camera.see(ABSENT, ABSENT, *[ABSENT] * 60, PRESENT, PRESENT)
    assert [d.fired for d in third] == [True]


def test_an_undelivered_alert_gives_its_cooldown_back():
    camera = Camera(compiled("cooldown: 1h"))
    first = camera.see(PRESENT, PRESENT)[0]
    camera.engine.release("p", "cam", first.time_ms)
    assert camera.see(ABSENT, ABSENT, PRESENT, PRESENT)[0].fired


def test_the_best_phrase_decides():
    camera = Camera(compiled(columns=(1, 0)))
    assert camera.see(PRESENT, PRESENT)[0].phrase == "thing 0"


def test_other_cameras_are_left_alone():
    assert Camera(compiled("cameras: porch-*")).see(PRESENT, PRESENT) == []


def test_a_policy_that_did_not_change_keeps_what_it_knows():
    kept, other = compiled(name="kept"), compiled(name="other")
    camera = Camera(kept)
    assert len(camera.see(PRESENT, PRESENT)) == 1
    camera.engine.replace((kept, other))
    assert [d.policy for d in camera.see(PRESENT, PRESENT)] == ["other"]


@pytest.mark.parametrize("seed", range(5))
def test_the_same_observations_give_the_same_decisions(seed):
    rng = random.Random(seed)
    margins = [rng.choice((ABSENT, 250, 310, PRESENT)) for _ in range(400)]
    policies = (compiled("cooldown: 20s"), compiled("new: true\nfor: 3s", name="q"))
    assert Camera(*policies).see(*margins) == Camera(*policies).see(*margins)


class Hours:
    """Closed until `opens`."""

    def __init__(self, opens: int) -> None:
        self.opens = opens

    def closed(self, time_ms: int) -> str:
        return "" if time_ms >= self.opens else "too early"

    def opens_ms(self, time_ms: int) -> int:
        return max(time_ms, self.opens)


def test_t46_instant_decides_on_one_frame_but_not_on_the_first():
    camera = Camera(compiled("instant: true"))
    assert camera.see(PRESENT) == []
    assert camera.see(PRESENT)[0].fired
    camera = Camera(compiled("instant: true"))
    assert [d.fired for d in camera.see(ABSENT, PRESENT)] == [True]


def test_t39_the_first_look_after_a_start_is_how_things_are():
    camera = Camera(compiled("new: true"), compiled("cooldown: 0s", name="q"))
    camera.see(ABSENT, ABSENT)
    camera.engine.start()
    decisions = camera.see(PRESENT, PRESENT)
    assert [(d.policy, d.fired) for d in decisions] == [("p", False), ("q", True)]
    assert decisions[0].reason == "known: it was there when watching began"
    camera.engine.start()
    assert camera.see(PRESENT, PRESENT, PRESENT) == [], "the episode goes on"
    gone = camera.see(ABSENT, ABSENT, PRESENT, PRESENT)
    assert [(d.policy, d.fired) for d in gone] == [("p", True), ("q", True)]


def test_t39_an_engine_restored_from_a_snapshot_decides_as_one_that_never_stopped():
    rng = random.Random(8)
    margins = [rng.choice((ABSENT, 250, 310, PRESENT)) for _ in range(600)]
    policies = (compiled("cooldown: 20s"), compiled("new: true\nfor: 3s", name="q"))
    policies += (compiled("gone: 4s", name="r"),)
    steady, moved = Camera(*policies), Camera(*policies)
    for margin in margins:
        plain = {key: track.plain() for key, track in moved.engine.snapshot().items()}
        moved.engine = Engine()
        moved.engine.replace(policies)
        moved.engine.restore({key: Track.of_plain(track) for key, track in plain.items()})
        assert steady.see(margin) == moved.see(margin)


def test_only_tracks_that_changed_are_handed_to_the_store():
    camera = Camera(compiled(), compiled(name="q", see="[thing 1]", columns=(1,)))
    camera.see(ABSENT)
    assert camera.engine.take_changed() == {}, "nothing was seen"
    camera.see(ABSENT, ABSENT)
    assert camera.engine.take_changed() == {}
    camera.see(PRESENT, PRESENT)
    assert len(camera.engine.take_changed()) == 1
    camera.see(PRESENT, PRESENT)
    assert camera.engine.take_changed() == {}


def test_t36_a_score_that_swings_around_the_threshold_alerts_once_a_cooldown():
    camera = Camera(compiled("cooldown: 5m"))
    margins = [int(300 + 400 * np.sin(second / 7)) for second in range(3600)]
    decisions = camera.see(*margins)
    assert sum(decision.fired for decision in decisions) <= 1 + 3600 // 300
    assert len(decisions) < 100, "decisions only at changes"


def test_t38_a_score_that_rises_alerts_once_when_it_is_high_enough():
    camera = Camera(compiled())
    margins = [*range(-300, 900, 100)]
    assert [(d.fired, d.margin_q8) for d in camera.see(*margins)] == [(True, 500)]


def test_t20_a_clock_that_goes_back_lengthens_no_cooldown():
    camera = Camera(compiled("cooldown: 1m"))
    assert camera.see(PRESENT, PRESENT)[0].fired
    camera.time_ms -= 600_000
    second = camera.see(ABSENT, ABSENT, PRESENT, PRESENT)[0]
    assert second.reason == "cooldown: 60 s left"


def test_gone_fires_when_what_was_seen_has_been_absent_long_enough():
    camera = Camera(compiled("gone: 5s"))
    assert camera.see(PRESENT, PRESENT, PRESENT) == []
    assert [d.reason for d in camera.see(*[ABSENT] * 3, PRESENT)] == ["gone for 2.0 of 5.0 s"]
    fired = camera.see(*[ABSENT] * 9)
    assert [d.fired for d in fired] == [True]
    assert fired[0].frame == 13
    assert camera.see(PRESENT, PRESENT) == []


def test_gone_knows_what_was_absent_when_watching_began():
    decisions = Camera(compiled("gone: 5s")).see(*[ABSENT] * 9)
    assert [d.reason for d in decisions] == ["known: it was absent when watching began"]


@pytest.mark.parametrize(
    ("see", "left", "right", "fires"),
    [
        ("{all: [a, b]}", PRESENT, PRESENT, True),
        ("{all: [a, b]}", PRESENT, ABSENT, False),
        ("{any: [a, b]}", ABSENT, PRESENT, True),
        ("{any: [a], not: [b]}", PRESENT, ABSENT, True),
        ("{any: [a], not: [b]}", PRESENT, PRESENT, False),
        ("{any: [a], not: [b]}", PRESENT, 300, False),
        ("{any: [a], not: [b]}", PRESENT, 300 - BAND_Q8, False),
        ("{any: [a], not: [b]}", PRESENT, 299 - BAND_Q8, True),
        ("{any: [a], all: [b]}", PRESENT, ABSENT, False),
        ("{any: [a], all: [b]}", ABSENT, PRESENT, False),
        ("{any: [a], all: [b]}", PRESENT, PRESENT, True),
    ],
)
def test_any_all_and_not_hold_on_the_same_frame(see, left, right, fires):
    other = compiled(name="other", columns=(1,), see="[b]")
    camera = Camera(other, compiled(see=see, columns=(0, 1)))
    row = np.array([left, right], np.int16)
    seen = [Observation("cam", 1, n, n, n * 1000) for n in range(1, 5)]
    found = [d for batch in camera.engine.observe_batch(seen, np.stack([row] * 4)) for d in batch]
    assert [d.fired for d in found if d.policy == "p"] == [True] * fires


def test_an_episode_outside_its_hours_is_suppressed_or_deferred():
    camera = Camera(compiled(schedule=Hours(10**9)))
    assert [d.reason for d in camera.see(PRESENT, PRESENT)] == ["while: too early"]
    text = "while: {time: 08:00-22:00, zone: UTC}\ndefer: true"
    camera = Camera(compiled(text, schedule=Hours(10**9)))
    late = camera.see(PRESENT, PRESENT)[0]
    assert (late.fired, late.due_ms, late.reason) == (True, 10**9, "deferred until `while` holds")
    assert [gate.name for gate in late.gates if not gate.passed] == ["while"]


def test_every_gate_carries_its_number():
    camera = Camera(compiled("for: 2s\nnew: true"))
    camera.see(ABSENT)
    decision = camera.see(PRESENT, PRESENT, PRESENT)[0]
    assert [gate.text for gate in decision.gates] == [
        "margin 3.52 at or above 1.17",
        "seen in 2 of 2 frames",
        "held 2.0 of 2.0 s",
        "new",
        "no cooldown",
    ]


def test_explaining_a_frame_changes_nothing():
    camera = Camera(compiled("for: 5s"))
    camera.see(ABSENT, PRESENT)
    before = {key: track.plain() for key, track in camera.engine.snapshot().items()}
    seen = Observation("cam", 1, 9, 9, camera.time_ms + 3000)
    row = np.array([100, ABSENT], np.int16)
    _, gates = camera.engine.explain(camera.engine.policies[0], seen, row)
    assert gates[0].text == "margin 0.39 below 1.17"
    _, gates = camera.engine.explain(camera.engine.policies[0], seen, row + 300)
    assert [g.text for g in gates if not g.passed] == ["held 3.0 of 5.0 s"]
    assert {key: track.plain() for key, track in camera.engine.snapshot().items()} == before


@pytest.mark.parametrize(
    ("seen", "other", "verdict", "text"),
    [
        (900, 700, "fired", "margin 3.52 against 2.73 of b"),
        (900, 800, "abstained", "unknown: too close, margin 3.52 against 3.12 of b"),
        (900, 1000, "abstained", "unknown: too close, margin 3.52 against 3.91 of b"),
        (900, 1100, "suppressed", "rather b, margin 3.52 against 4.30 of b"),
    ],
)
def test_n07_what_cannot_be_told_from_its_contrast_is_unknown(seen, other, verdict, text):
    camera = Camera(compiled(see="{any: [a], unlike: [b]}", columns=(0, 1)))
    rows = np.array([[ABSENT, other], [seen, other], [seen, other]], np.int16)
    frames = [Observation("cam", 1, n, n, n * 1000) for n in range(1, 4)]
    (decision,) = [d for found in camera.engine.observe_batch(frames, rows) for d in found]
    assert decision.verdict == verdict
    assert [gate.text for gate in decision.gates if gate.name == "unlike"] == [text]
