"""The outbox with a virtual clock and a receiver that fails on purpose."""

import asyncio
import json
from dataclasses import replace

import pytest
from moteye.actions import outbox as outbox_module
from moteye.actions.alert import Alert
from moteye.actions.outbox import MOST_ATTEMPTS, Outbox
from moteye.actions.rows import TELL, kind_of, rows_of, telling
from moteye.core.decisions import Decision
from moteye.core.language import parse_policy
from moteye.errors import ActionError, LinkError
from support.outbox import Agent, Receiver, at_work

DECISION = Decision("ab12", "p", "cam", True, "seen", "a cat", 700, 300, 4, 1, 5000)


def rows(text: str, decision: Decision = DECISION) -> list[dict]:
    actions = list(parse_policy(f"see: x\nthen:\n{text}", "p", "p").then)
    found = rows_of(decision, Alert.of(decision, 0.9), actions)
    return [*found, telling(found[0], len(found))]


def states(agent: Agent) -> list[str]:
    """Of the actions, in their order."""
    return [row["state"] for row in agent.acts.values()]


async def test_a_failed_action_is_tried_again_later_with_the_same_id_and_the_others_are_not():
    receiver, agent = Receiver(webhook=3), Agent()
    async with at_work(receiver, agent) as (outbox, until, clock):
        outbox.add(rows("  - mqtt: t\n  - webhook: http://x/\n"))
        await until(lambda: receiver.calls.count(("webhook", "ab12")) == 4)
        await until(lambda: agent.written["ab12-5000", 1]["state"] == "done")
        assert clock[0] == 1_000_000 + 1000 * (2 + 4 + 8)
    assert receiver.calls.count(("mqtt", "ab12")) == 1
    assert len(agent.told) == 1
    assert agent.released == []


async def test_t37_an_alert_that_no_action_delivered_gives_its_cooldown_back():
    receiver, agent = Receiver(mqtt=10**6), Agent()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - mqtt: t\n"))
        await until(lambda: agent.released)
    assert agent.released == [("p", "cam", 5000)]
    row = agent.written["ab12-5000", 0]
    assert (row["state"], row["attempts"], row["error"]) == ("dead", MOST_ATTEMPTS, "no broker")


async def test_t37_one_delivered_action_is_enough_for_the_cooldown():
    receiver, agent = Receiver(webhook=ActionError("HTTP 404", permanent=True)), Agent()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - log\n  - webhook: http://x/\n"))
        await until(lambda: agent.told)
    assert states(agent) == ["done", "dead"]
    assert agent.released == []


async def test_what_was_waiting_is_done_by_the_next_run():
    agent = Agent()
    async with at_work(Receiver(webhook=10**6), agent) as (outbox, until, _):
        outbox.add(rows("  - mqtt: t\n  - webhook: http://x/\n"))
        await until(lambda: agent.told)
    waiting = [row for row in agent.written.values() if row["state"] == "wait"]
    assert [kind_of(row) for row in waiting] == ["webhook"]
    receiver = Receiver()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(waiting)
        await until(lambda: agent.written["ab12-5000", 1]["state"] == "done")
    assert receiver.calls == [("webhook", "ab12")]
    assert len(agent.told) == 1, "subscribers were told by the first run"


async def test_pictures_come_first_and_every_action_names_them():
    receiver, agent = Receiver(), Agent()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - mqtt: t\n  - save: x\n"))
        await until(lambda: agent.told)
    assert [kind for kind, _ in receiver.calls] == ["save", "mqtt"]
    assert agent.told[0].picture == "shot.png"
    assert json.loads(agent.written["ab12-5000", 0]["alert"])["picture"] == "shot.png"


async def test_actions_of_a_policy_that_was_removed_are_dropped():
    receiver, agent = Receiver(), Agent()
    agent.policies.clear()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - mqtt: t\n"))
        await until(lambda: agent.written)
    assert agent.written["ab12-5000", 0]["state"] == "dead"
    assert receiver.calls == agent.told == []


async def test_a_slow_receiver_does_not_hold_up_other_policies(monkeypatch):
    entered = asyncio.Event()

    class Stuck(Receiver):
        async def perform(self, alert, action):
            if alert.policy == "p":
                entered.set()
                await asyncio.Event().wait()
            return await super().perform(alert, action)

    agent = Agent()
    async with at_work(Stuck(), agent) as (outbox, until, _):
        outbox.add(rows("  - mqtt: t\n"))
        outbox.add(rows("  - mqtt: t\n", replace(DECISION, policy="q", id="q1")))
        await until(lambda: agent.told)
    assert entered.is_set()
    assert [alert.policy for alert in agent.told] == ["q"]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_backoff_grows_to_its_cap_with_jitter(jitter, monkeypatch):
    outbox = Outbox(Receiver(), Agent(), now_ms=lambda: 0, jitter=lambda: jitter)
    row = rows("  - mqtt: t\n")[0]
    delays = []
    for attempt in range(1, MOST_ATTEMPTS):
        row["attempts"] = attempt
        outbox._failed(row, "mqtt", LinkError("x"))
        delays.append(row["due_ms"] / 1000)
    assert delays == sorted(delays)
    assert all(delay <= outbox_module.RETRY_CAP_S for delay in delays)
    assert delays[0] == pytest.approx(2 * (0.5 + jitter / 2))


@pytest.mark.parametrize(
    "kind", ["notify: phone", "command: ring", "home_assistant: light.turn_on"]
)
async def test_what_may_happen_once_is_written_down_before_it_begins(kind):
    agent, seen = Agent(), []

    class Looks(Receiver):
        async def perform(self, alert, action):
            seen.extend(row["state"] for row in agent.written.values())
            return await super().perform(alert, action)

    async with at_work(Looks(), agent) as (outbox, until, _):
        outbox.add(rows(f"  - {kind}\n"))
        await until(lambda: agent.told)
    assert seen == ["begun", "wait"], "and subscribers are told later"
    assert states(agent) == ["done"]


async def test_an_unknown_outcome_is_shown_not_repeated_and_keeps_the_cooldown():
    receiver = Receiver(notify=ActionError("silence", unknown=True))
    agent = Agent()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - notify: phone\n"))
        await until(lambda: agent.told)
    row = agent.written["ab12-5000", 0]
    assert (row["state"], row["error"], row["attempts"]) == ("unknown", "silence", 1)
    assert len(receiver.calls) == 1
    assert agent.released == []


async def test_what_was_surely_not_sent_is_tried_again_and_a_receiver_gets_its_time():
    receiver = Receiver(home_assistant=2, webhook=ActionError("HTTP 503", retry_after_s=900))
    agent = Agent()
    async with at_work(receiver, agent) as (outbox, until, clock):
        outbox.add(rows("  - home_assistant: light.turn_on\n"))
        await until(lambda: receiver.calls.count(("home_assistant", "ab12")) == 3)
        began = clock[0]
        outbox.add(rows("  - webhook: https://x/\n", replace(DECISION, policy="q", id="q123")))
        await until(lambda: receiver.calls.count(("webhook", "q123")) == 2)
        assert clock[0] - began >= 900_000


async def test_a_row_that_a_person_asks_for_again_is_tried_again():
    receiver, agent = Receiver(webhook=ActionError("HTTP 404", permanent=True)), Agent()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add(rows("  - webhook: https://x/\n"))
        await until(lambda: agent.released)
        receiver.fail.clear()
        row = agent.written["ab12-5000", 0]
        agent.again = [{**row, "state": "wait", "attempts": 1}]
        outbox.add(await agent.asked_again())
        await until(lambda: agent.written["ab12-5000", 0]["state"] == "done")
    assert len(agent.told) == 1


@pytest.mark.parametrize("moment", ["in the action", "before subscribers hear"])
async def test_a_kill_before_subscribers_heard_leaves_them_told_by_the_next_run(moment):
    """Begun is written down, then the process is gone: `_agent/alert` must still come."""
    agent, entered = Agent(), asyncio.Event()

    class Killed(Receiver):
        async def perform(self, alert, action):
            if moment == "in the action":
                entered.set()
                await asyncio.Event().wait()
            return await super().perform(alert, action)

    class Deaf(Agent):
        async def tell(self, alert):
            entered.set()
            await asyncio.Event().wait()

    deaf = Deaf() if moment != "in the action" else agent
    async with at_work(Killed(), deaf) as (outbox, until, _):
        outbox.add(rows("  - notify: phone\n"))
        await until(entered.is_set)
        on_disk = {key: dict(row) for key, row in deaf.written.items()}
    for row in on_disk.values():  # as Store.settle_interrupted does
        row["state"] = "unknown" if row["state"] == "begun" else row["state"]
    agent.written = on_disk
    waiting = [row for row in on_disk.values() if row["state"] == "wait"]
    assert [kind_of(row) for row in waiting] == [TELL]
    receiver = Receiver()
    async with at_work(receiver, agent) as (outbox, until, _):
        outbox.add([dict(row) for row in on_disk.values()])
        await until(lambda: agent.told)
        await until(lambda: all(row["state"] != "wait" for row in agent.written.values()))
    assert [alert.id for alert in agent.told] == ["ab12"]
    assert receiver.calls == [], "what may have been done is not done again"
    assert states(agent) == ["unknown" if moment == "in the action" else "done"]


async def test_subscribers_are_told_when_the_broker_is_back_and_actions_are_not_done_again():
    receiver, agent = Receiver(), Agent()
    agent.away = 3
    async with at_work(receiver, agent) as (outbox, until, clock):
        outbox.add(rows("  - log\n"))
        await until(lambda: agent.told)
        assert clock[0] == 1_000_000 + 1000 * (2 + 4 + 8)
    assert receiver.calls == [("log", "ab12")]
    assert agent.released == []


async def test_receivers_that_hang_do_not_hold_up_what_the_broker_alone_is_needed_for():
    """Found by `publish_to_action_p99_ms`: eight hanging webhooks kept every alert waiting."""

    class Hangs(Receiver):
        async def perform(self, alert, action):
            if action.kind == "webhook":
                await asyncio.Event().wait()
            return await super().perform(alert, action)

    agent = Agent()
    async with at_work(Hangs(), agent) as (outbox, until, _):
        for number in range(3 * outbox_module.AT_ONCE):
            stuck = replace(DECISION, device=f"cam{number}", id=f"s{number:03}")
            outbox.add(rows("  - webhook: http://x/\n", stuck))
        outbox.add(rows("  - mqtt: t\n", replace(DECISION, policy="q", id="q1")))
        await until(lambda: agent.told)
        for task in list(outbox._attempts):
            task.cancel()
    assert [alert.policy for alert in agent.told] == ["q"]
