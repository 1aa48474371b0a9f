"""Two ways to the same verdicts: a frame against all policies at once, and against one."""

import numpy as np
import pytest
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.layout import Layout
from moteye.core.look import Look
from moteye.core.track import BAND_Q8

FORMS = (
    "[a, b]",
    "a",
    "{any: [a], not: [b]}",
    "{all: [a, b], not: [c]}",
    "{any: [a, b], all: [c]}",
    "{any: [a], unlike: [b]}",
)
COLUMNS = 9


def compiled(rng: np.random.Generator, number: int) -> CompiledPolicy:
    see = FORMS[rng.integers(len(FORMS))]
    gone = "gone: 5s\n" if rng.random() < 0.3 and "unlike" not in see else ""
    policy = parse_policy(f"see: {see}\n{gone}then: [log]\n", "p.yaml", f"p{number}")
    columns = rng.choice(COLUMNS, len(policy.phrases), replace=False)
    enter_q8 = rng.integers(-100, 100, len(columns)).astype(np.int32)
    return CompiledPolicy(policy, columns, enter_q8, f"f{number}")


@pytest.mark.parametrize("seed", range(5))
def test_all_at_once_is_each_alone(seed):
    rng = np.random.default_rng(seed)
    policies = tuple(compiled(rng, number) for number in range(30))
    layout = Layout(policies)
    margins = rng.integers(-300, 300, (50, COLUMNS)).astype(np.int16)
    margins[0] = -32768
    over = layout.over(margins)
    for row, found in zip(over, layout.shown(margins), strict=True):
        assert set(found) == set(np.flatnonzero(row >= -BAND_Q8).tolist())
    for frame, row in zip(margins, over, strict=True):
        assert [Look.at(policy, frame).over for policy in policies] == row.tolist()


@pytest.mark.parametrize(
    ("margins", "named", "over"),
    [
        ([300, 500], "b", 200),  # both reach: the more probable, though a stands higher above
        ([300, 390], "a", 200),  # b does not reach
        ([50, 350], "a", -50),  # none does: the nearest
        ([100, 400], "b", 0),
    ],
)
def test_the_most_probable_phrase_that_reaches_is_named(margins, named, over):
    policy = parse_policy("see: [a, b]\nthen: [log]\n", "p.yaml", "p")
    rule = CompiledPolicy(policy, np.arange(2), np.array([100, 400], np.int32), "f")
    look = Look.at(rule, np.array(margins, np.int16))
    assert look.over == over
    assert look.phrase == named
    assert (look.margin_q8, look.threshold_q8) == (
        (margins[0], 100) if named == "a" else (margins[1], 400)
    )


def test_near_misses_of_long_ago_are_forgotten_and_change_nothing():
    policies = tuple(
        CompiledPolicy(
            parse_policy(f"see: t{n}\nthen: [log]\n", "p.yaml", f"p{n}"),
            np.array([n]),
            np.array([0], np.int32),
            f"f{n}",
        )
        for n in range(300)
    )
    engine, rng = Engine(), np.random.default_rng(0)
    engine.replace(policies)
    most, last_ms = 0, {}
    for number in range(300):
        seen = [
            Observation(f"cam{camera}", 1, number, number, 1_000_000 + 1000 * number)
            for camera in range(100)
        ]
        margins = np.where(rng.random((100, 300)) < 0.002, 500, -500).astype(np.int16)
        for found in engine.observe_batch(seen, margins):
            for one in found:
                if one.near_miss:
                    before = last_ms.get((one.policy, one.device), -60_000)
                    assert one.time_ms + 1000 - before >= 60_000, "one a minute, as ever"
                    last_ms[one.policy, one.device] = one.time_ms + 1000
        most = max(most, len(engine.snapshot()))
    assert most < 9000 < 12_000 < len(last_ms)
