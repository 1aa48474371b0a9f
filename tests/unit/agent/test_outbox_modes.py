"""Modes, escalation, digests, ends: what the outbox does beside the first try."""

import asyncio
import json
from dataclasses import replace

import pytest
from moteye.actions.alert import MAX_CHARS, Alert
from moteye.actions.rows import rows_at_end, rows_for
from moteye.core.decisions import Decision, Ending
from moteye.core.language import parse_policy
from moteye.core.track import Episode
from moteye.errors import ActionError
from support.outbox import Agent, Receiver, at_work

DECISION = Decision("ab12cd", "p", "cam", True, "seen", "a cat", 700, 300, 4, 1, 900_000)


def policy(text: str):
    return parse_policy(f"see: x\n{text}", "p", "p")


class Desk(Agent):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.policies = {"p": policy(text)}

    def rows(self, decision: Decision = DECISION):
        return rows_for(decision, self.policies["p"])

    def states(self, job: str) -> list[str]:
        return [row["state"] for (name, _), row in sorted(self.acts.items()) if name == job]


LATER = replace(DECISION, id="ef34", time_ms=960_000, frame=9)
ESCALATE = "escalate: {after: 5m, every: 10m, most: 3, then: [{mqtt: siren}]}\nthen: [log]\n"


async def test_n08_an_alert_is_told_again_until_it_has_been_told_often_enough():
    receiver, agent = Receiver(), Desk(ESCALATE)
    async with at_work(receiver, agent) as (outbox, until, clock):
        outbox.add(agent.rows())
        await until(lambda: len(receiver.calls) == 4)
        assert clock[0] == 900_000 + 1000 * (300 + 600 + 600)
    assert [kind for kind, _ in receiver.calls] == ["log", "mqtt", "mqtt", "mqtt"]
    notices = [Alert(**json.loads(row["alert"])) for _, row in sorted(agent.acts.items())]
    assert [one.event for one in notices] == ["seen"] + ["escalated"] * 3
    assert {one.tag for one in notices} == {"p/cam"}, "the newer takes the older's place"
    assert len({one.key for one in notices}) == 4, "no receiver takes one for another"
    assert len(agent.told) == 1


@pytest.mark.parametrize("what", ["ab12cd", "ab12", "p/cam"])
async def test_n08_nothing_is_told_again_once_somebody_has_seen_it(what):
    receiver, agent = Receiver(), Desk(ESCALATE)
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(agent.rows())
        await until(lambda: len(receiver.calls) == 2)
        assert await outbox.acknowledge(what) == ["ab12cd"]
        assert await outbox.acknowledge(what) == []
        await until(lambda: not outbox._heap)
    assert [kind for kind, _ in receiver.calls] == ["log", "mqtt"]
    assert agent.states("ab12cd-900000-escalate1") == ["done"]
    assert agent.states("ab12cd-900000-escalate3") == ["acknowledged"]
    assert agent.released == []
    assert not outbox._open["p", "cam"]


@pytest.mark.parametrize("what", ["", "a", "zz99", "p/other", "q/cam"])
async def test_n08_another_name_acknowledges_nothing(what):
    agent = Desk(ESCALATE)
    async with at_work(Receiver(), agent) as (outbox, _, _):
        outbox.add(agent.rows())
        assert await outbox.acknowledge(what) == []


async def test_an_escalation_that_waits_is_done_by_the_next_run():
    agent = Desk(ESCALATE)
    async with at_work(Receiver(), agent) as (outbox, until, _):
        rows = agent.rows()
        outbox.add(rows)
        await until(lambda: agent.told)
    receiver = Receiver()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add([dict(row) for row in rows if row["state"] == "wait"])
        await until(lambda: len(receiver.calls) == 3)
    assert {kind for kind, _ in receiver.calls} == {"mqtt"}


async def test_mode_single_drops_a_later_alert_while_one_waits_and_gives_its_cooldown_back():
    receiver, agent = Receiver(), Desk("mode: single\n" + ESCALATE)
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(agent.rows())
        await until(lambda: agent.told)
        outbox.add(agent.rows(LATER))
        await until(lambda: agent.released)
        await outbox.acknowledge("p/cam")
        outbox.add(agent.rows(replace(LATER, id="ff56", time_ms=970_000)))
        await until(lambda: ("log", "ff56") in receiver.calls)
    assert agent.released == [("p", "cam", 960_000)]
    assert agent.states("ef34-960000") == ["dropped"]
    assert agent.states("ef34-960000-escalate2") == ["dropped"]
    assert agent.written["ef34-960000", 0]["error"].startswith("mode single: an earlier alert")


async def test_mode_restart_drops_what_is_left_of_the_earlier_alert():
    receiver, agent = Receiver(), Desk("mode: restart\n" + ESCALATE)
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(agent.rows())
        await until(lambda: agent.told)
        outbox.add(agent.rows(LATER))
        await until(lambda: not outbox._heap)
    assert agent.states("ab12cd-900000-escalate1") == ["dropped"]
    assert agent.states("ef34-960000-escalate3") == ["done"]
    assert [one for _, one in receiver.calls] == ["ab12cd"] + ["ef34"] * 4


@pytest.mark.parametrize(("mode", "together"), [("queued", 1), ("parallel", 2)])
async def test_queued_alerts_wait_for_each_other_and_parallel_ones_do_not(mode, together):
    class Slow(Receiver):
        at_once = most = 0

        async def perform(self, alert, action):
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            for _ in range(50):
                await asyncio.sleep(0)
            self.at_once -= 1
            return await super().perform(alert, action)

    receiver, agent = Slow(), Desk(f"mode: {mode}\nthen: [log]\n")
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(agent.rows())
        outbox.add(agent.rows(LATER))
        await until(lambda: len(agent.told) == 2)
    assert receiver.most == together
    assert [one for _, one in receiver.calls] == ["ab12cd", "ef34"]


DEFER = "while: {time: 08:00-22:00, zone: UTC}\ndefer: HOW\nthen: [log]\n"


@pytest.mark.parametrize(("how", "notices"), [("digest", 1), ("each", 3)])
async def test_what_was_kept_over_night_is_one_digest(how, notices):
    receiver, agent = Receiver(), Desk(DEFER.replace("HOW", how))
    night = [
        replace(DECISION, id=f"ab{n}c", device=f"cam{n}", time_ms=900_000 + n, due_ms=2_000_000)
        for n in range(3)
    ]
    async with at_work(receiver, agent) as (outbox, until, clock):
        for decision in night:
            outbox.add(agent.rows(decision))
        await until(lambda: len(agent.acts) == 3)
        assert clock[0] == 2_000_000
        await until(lambda: len(agent.told) == notices)
    assert len(receiver.calls) == notices
    assert {row["state"] for row in agent.written.values()} == {"done"}
    first = agent.told[0]
    assert (first.event, first.count) == (("digest", 3) if how == "digest" else ("seen", 1))
    assert [one["camera"] for one in first.alerts] == ["cam0", "cam1", "cam2"] * (notices == 1)
    assert agent.released == []


async def test_a_digest_of_which_nothing_arrives_is_tried_again_as_the_digest():
    receiver, agent = (
        Receiver(log=0, mqtt=2),
        Desk(DEFER.replace("HOW", "digest").replace("log", "mqtt: t")),
    )
    async with at_work(receiver, agent) as (outbox, until, _):
        for n in range(2):
            decision = replace(DECISION, id=f"ab{n}c", time_ms=900_000 + n, due_ms=2_000_000)
            outbox.add(agent.rows(decision))
        await until(lambda: len(receiver.calls) == 3)
    assert json.loads(agent.written["ab0c-900000", 0]["alert"])["count"] == 2


async def test_the_end_of_an_episode_is_an_action_of_its_own():
    agent = Desk("finally: [{mqtt: over}]\nelse: [log]\nthen: [log]\n")
    episode = Episode("ab12cd", 900_000, True, "x", 700, 300, 4, 1, 899_000)
    ending = Ending("p", "cam", episode, 912_500)
    rows = rows_at_end(ending, agent.policies["p"])
    receiver = Receiver(mqtt=10**6)
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows)
        await until(lambda: agent.states("ab12cd-900000-end") == ["dead"])
    alert = json.loads(rows[0]["alert"])
    assert (alert["event"], alert["duration_s"], alert["tag"]) == ("ended", 13.5, "p/cam")
    assert agent.released == [], "an end that nobody got gives no cooldown back"
    assert agent.told == []
    quiet = replace(ending, episode=replace(episode, fired=False))
    assert ['"kind":"log"' in row["action"] for row in rows_at_end(quiet, agent.policies["p"])] == [
        True
    ]


ALERT = Alert("0123456789abcdef", "p", "cam", "a plant", 0.9, 2.2, 1.0, "2026-01-01T10:00:00", 7)


@pytest.mark.parametrize("phrase", ["../../etc", "a/b", "a#b", "+", "..", "a\x00b", "x\ny"])
def test_t42_what_is_put_into_a_topic_or_a_folder_is_one_level(phrase):
    name = replace(ALERT, phrase=phrase).render_name("home/{{ phrase }}/alert")
    assert name.startswith("home/")
    assert name.endswith("/alert")
    level = name.removeprefix("home/").removesuffix("/alert")
    assert not set(level) & set("/+#\x00\n")
    assert level not in ("..", ".")


def test_t42_a_template_gives_at_most_64_kib():
    long = replace(ALERT, phrase="x" * 1000)
    assert len(long.render("{{ phrase }}" * 65)) == 65_000
    with pytest.raises(ActionError, match=f"more than {MAX_CHARS:,}") as caught:
        long.render("{{ phrase }}" * 66)
    assert caught.value.permanent
    many = replace(ALERT, alerts=[{"phrase": "x" * 1000}] * 100)
    with pytest.raises(ActionError, match="more than"):
        many.render("{% for a in alerts %}{{ a.phrase }}{% endfor %}")


def test_t42_a_template_stops_after_a_second(monkeypatch):
    from moteye.actions import alert as module

    ticks = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(ticks) * 0.4)
    with pytest.raises(ActionError, match="longer than 1 s"):
        ALERT.render("{{ phrase }} and " * 10)
