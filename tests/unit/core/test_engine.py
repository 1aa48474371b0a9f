import random

import numpy as np
import pytest
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.policy import parse_policy

ABSENT, PRESENT = -500, 900


def compiled(text: str = "", *, name: str = "p", columns=(0,), enter=300) -> CompiledPolicy:
    see = ", ".join(f"thing {column}" for column in columns)
    policy = parse_policy(f"see: [{see}]\nthen: [log]\n{text}", f"{name}.yaml", name)
    return CompiledPolicy(
        policy, np.array(columns), np.full(len(columns), enter, np.int32), f"{name}:{text}"
    )


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


def test_one_spike_never_fires():
    camera = Camera(compiled())
    assert camera.see(ABSENT, PRESENT, ABSENT, PRESENT, ABSENT) == []


def test_one_missing_frame_does_not_end_an_episode():
    camera = Camera(compiled("cooldown: 0s"))
    assert len(camera.see(PRESENT, PRESENT, ABSENT, PRESENT, PRESENT)) == 1
    assert len(camera.see(ABSENT, ABSENT, PRESENT, PRESENT)) == 1


def test_an_episode_does_not_end_while_the_score_hovers_at_the_threshold():
    camera = Camera(compiled("cooldown: 0s"))
    assert len(camera.see(310, 310, *[290, 310] * 50)) == 1


def test_for_counts_from_the_first_frame_without_a_break():
    camera = Camera(compiled("for: 5s"))
    assert camera.see(*[PRESENT] * 4, ABSENT, *[PRESENT] * 5) == []
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
