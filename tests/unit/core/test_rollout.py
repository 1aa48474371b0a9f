"""A rollout in waves: who gets the set when, and what stops it."""

import json

import pytest
from moteye.core.rollout import Plan, Rollout, Seen

FLEET = [f"cam{number:03}" for number in range(400)]
PLAN = Plan((0.05, 0.25, 1.0), max_error=0.02, deadline_s=120, watch_s=60)


def released(rollout, fleet=FLEET):
    return [device for device in fleet if rollout.released(device)]


def run(rollout, answer, until_s=2000.0, seen=lambda now_s: {}):
    """Devices that are released answer as `answer(device)` says, None for never."""
    now_s = 0.0
    while rollout.state == "running" and now_s < until_s:
        rollout.tick(now_s, seen(now_s))
        for device in released(rollout):
            code = answer(device)
            if code is not None:
                rollout.outcome(device, code)
        now_s += 1
    return now_s


def test_waves_follow_each_other_and_all_get_the_set():
    rollout = Rollout.begin("aa", PLAN, FLEET)
    assert len(released(rollout)) == 20
    took_s = run(rollout, lambda device: "ok")
    assert (rollout.state, rollout.wave) == ("done", 2)
    assert len(released(rollout)) == 400
    assert 180 <= took_s <= 200, "each wave is watched"
    assert rollout.released("a device that came later")


def test_t32_five_percent_silent_stop_at_wave_one():
    rollout = Rollout.begin("aa", PLAN, FLEET)
    silent = released(rollout)[7]  # one of twenty
    took_s = run(rollout, lambda device: None if device == silent else "ok")
    assert (rollout.state, rollout.wave) == ("stopped", 0)
    assert took_s <= PLAN.deadline_s + 2
    assert rollout.reason == f"wave 1: 1 of 20 devices failed, 2.0% may: {silent} (silent)"
    assert len(released(rollout)) == 19


def test_t15_who_is_left_out_on_the_way_neither_fails_nor_holds_it_up():
    rollout = Rollout.begin("aa", PLAN, FLEET)
    gone = set(released(rollout)[:10]) | set(FLEET[::7])

    def answer(device):
        rollout.leave_out(gone)
        return None if device in gone else "ok"

    run(rollout, answer)
    assert (rollout.state, rollout.reason) == ("done", "")
    assert not gone & set(rollout.members)
    empty = Rollout.begin("aa", PLAN, FLEET[:1])
    empty.leave_out(FLEET)
    run(empty, lambda device: None)
    assert empty.state == "done"


def test_t32_refusals_stop_at_once_and_few_enough_do_not():
    rollout = Rollout.begin("aa", PLAN, FLEET)
    took_s = run(rollout, lambda device: "canary")
    assert (rollout.state, took_s) == ("stopped", 2)
    lenient = Rollout.begin("aa", Plan((0.05, 1.0), max_error=0.05, watch_s=0), FLEET)
    bad = released(lenient)[0]
    run(lenient, lambda device: "canary" if device == bad else "ok")
    assert lenient.state == "done"


@pytest.mark.parametrize(("growth", "state"), [(2, "done"), (3, "paused")])
def test_t32_three_times_as_many_sightings_pause(growth, state):
    """Each device looks once a second; of a hundred frames two show something, before."""
    rollout = Rollout.begin("aa", Plan((0.5, 1.0), watch_s=600), FLEET[:40])
    first = set(released(rollout, FLEET[:40]))

    def seen(now_s):
        after = growth * now_s if now_s > 1 else 0
        return {
            device: Seen(1000 + int(now_s), 20 + int(0.02 * (after if device in first else now_s)))
            for device in FLEET[:40]
        }

    run(rollout, lambda device: "ok", seen=seen)
    assert rollout.state == state
    if state == "paused":
        assert rollout.wave == 0
        assert rollout.reason.startswith("wave 1: classes are seen in ")
        assert rollout.resume()
        assert (rollout.state, rollout.wave) == ("running", 1)


def test_growth_is_measured_against_the_devices_that_wait_where_nothing_is_known_before():
    rollout = Rollout.begin("aa", Plan((0.5, 1.0), watch_s=600), FLEET[:40])
    first = set(released(rollout, FLEET[:40]))

    def seen(now_s):
        return {d: Seen(int(now_s), int(now_s) if d in first else 0) for d in FLEET[:40]}

    run(rollout, lambda device: "ok", seen=seen)
    assert rollout.state == "paused"


def test_pause_waits_after_each_wave_but_the_last():
    rollout = Rollout.begin("aa", Plan((0.05, 0.25, 1.0), pause=True), FLEET)
    for wave in (0, 1):
        run(rollout, lambda device: "ok")
        assert (rollout.state, rollout.wave) == ("paused", wave)
        assert rollout.reason == f"wave {wave + 1} of 3 is good"
        rollout.resume()
    run(rollout, lambda device: "ok")
    assert rollout.state == "done"
    assert not rollout.resume()


def test_stopped_rollout_goes_on_where_somebody_says_so():
    rollout = Rollout.begin("aa", PLAN, FLEET)
    assert rollout.stop("by hand")
    assert not rollout.stop("again")
    assert (rollout.state, rollout.reason) == ("stopped", "by hand")
    assert rollout.resume()
    assert rollout.wave == 0
    run(rollout, lambda device: "ok")
    assert rollout.state == "done"


def test_rollout_survives_a_restart_at_any_moment():
    whole = Rollout.begin("aa", PLAN, FLEET)
    run(whole, lambda device: "ok")
    rollout = Rollout.begin("aa", PLAN, FLEET)
    for now_s in range(2000):
        rollout = Rollout.from_json(json.loads(json.dumps(rollout.to_json())))
        for tick_s in range(0, 70, 5):
            rollout.tick(1000.0 * now_s + tick_s, {})
            for device in released(rollout):
                rollout.outcome(device, "ok")
        if rollout.state != "running":
            break
    assert rollout.to_json() == whole.to_json()


def test_order_is_of_the_set_and_covers_the_fleet():
    one, other = (released(Rollout.begin(name, PLAN, FLEET)) for name in ("aa", "bb"))
    assert one == released(Rollout.begin("aa", PLAN, reversed(FLEET)))
    assert one != other
    assert len(released(Rollout.begin("aa", PLAN, ["only"]), ["only"])) == 1
    assert Rollout.begin("aa", PLAN, []).state == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        {"groups": ()},
        {"groups": (0.5, 0.5, 1.0)},
        {"groups": (0.5, 0.9)},
        {"groups": (0.0, 1.0)},
        {"max_error": 1.5},
        {"deadline_s": 0},
    ],
)
def test_plans_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"groups|error|deadline"):
        Plan(**wrong)
