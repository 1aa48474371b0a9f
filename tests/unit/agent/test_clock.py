"""Time in the agent: NTP may do what it likes (T19)."""

import numpy as np
import pytest
from moteye.clock import EventClock
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.language import Policy

HOUR_S = 3600


class Hands:
    """A monotonic clock, and a wall clock that somebody sets."""

    def __init__(self):
        self.monotonic_s = 5.0
        self.wall_s = 1_790_000_000.0

    def clock(self):
        return EventClock(lambda: self.monotonic_s, lambda: self.wall_s)

    def run(self, seconds):
        self.monotonic_s += seconds
        self.wall_s += seconds


STEPS = {
    "1970": -1_790_000_000.0,
    "2071": 45 * 365 * 24 * HOUR_S,
    "an hour back": -HOUR_S,
    "an hour on": HOUR_S,
}


def seconds_until_it_fires_again(step_s):
    """After the first alert the wall clock is set; then the cat comes again every 5 s."""
    hands = Hands()
    clock = hands.clock()
    policy = Policy.model_validate(
        {"name": "cat", "see": ["a cat"], "cooldown": "60s", "then": [{"log": {}}]}
    )
    compiled = CompiledPolicy(policy, np.array([0]), np.array([0], np.int32), "cat")
    engine = Engine()
    engine.replace((compiled,))
    fired = []
    for frame in range(200):
        hands.run(0.5)
        margin = 500 if frame % 10 < 5 else -500
        seen = Observation("cam", 1, frame, frame, clock.now_ms())
        for decision in engine.observe(seen, np.array([margin], np.int16)):
            if decision.fired:
                fired.append(hands.monotonic_s)
                if len(fired) == 1:
                    hands.wall_s += step_s
    return fired[1] - fired[0]


@pytest.mark.parametrize("step", STEPS)
def test_t19_steps_of_the_wall_clock_move_no_duration(step):
    assert seconds_until_it_fires_again(STEPS[step]) == seconds_until_it_fires_again(0)


@pytest.mark.parametrize("step", STEPS)
def test_t19_the_clock_never_falls_and_tells_people_the_time_of_the_wall(step):
    hands = Hands()
    clock = hands.clock()
    seen = clock.now_ms()
    hands.run(10)
    hands.wall_s += STEPS[step]
    assert clock.now_ms() == seen + 10_000
    assert clock.unix_ms() == int(hands.wall_s * 1000)
    assert clock.unix_ms(seen) == int(hands.wall_s * 1000) - 10_000
