"""Outbox rows: what decisions and the ends of episodes ask for, one row an action."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from moteye.actions.alert import Alert
from moteye.core.engine import Decision, Ending
from moteye.core.language import Action, Policy
from moteye.core.scoring import probability_of

Row = dict[str, Any]
Said = tuple[str, float | None]
TELL = "tell"  # the row that shows subscribers the alert; no action of the language


def rows_for(
    decision: Decision, policy: Policy, ahead_ms: int = 0, said: Said = ("", None)
) -> list[Row]:
    """Everything that a decision asks for; nothing where it did not fire.

    `ahead_ms`: how far the wall clock is ahead of the decision's time; `said`: what the camera said
    last, and how many seconds before.
    """
    if not decision.fired:
        return []
    probability = _probability(decision.margin_q8, policy)
    wall_ms = decision.time_ms + ahead_ms
    alert = Alert.of(decision, probability, wall_ms, severity=policy.severity).saying(*said)
    rows = rows_of(decision, alert, list(policy.then))
    rows.append(telling(rows[0], len(rows)))
    if policy.escalate is not None and not decision.severity:
        begun_ms = decision.due_ms or wall_ms
        for number, after_s in enumerate(policy.escalate.due_s(), 1):
            escalated = rows_of(decision, alert.escalated(number), list(policy.escalate.then))
            for row in escalated:
                row["job"] += f"-escalate{number}"
                row["due_ms"] = begun_ms + int(1000 * after_s)
            rows += escalated
    return rows


def rows_at_end(ending: Ending, policy: Policy, said: Said = ("", None)) -> list[Row]:
    """What the end of an episode asks for: `finally`, or `else` where it had not alerted."""
    episode = ending.episode
    actions = policy.finally_ if episode.fired else policy.else_
    if not actions:
        return []
    probability = _probability(episode.margin_q8, policy)
    alert = Alert.of_end(ending, probability, severity=policy.severity).saying(*said)
    job = f"{episode.id}-{episode.time_ms}-end"
    return _rows(job, actions, alert, fired_ms=episode.time_ms, due_ms=0)


def rows_of(decision: Decision, alert: Alert, actions: list[Action]) -> list[Row]:
    """The rows of a decision that fired, for the actions of its `then`."""
    job = f"{decision.id}-{decision.time_ms}"
    return _rows(job, actions, alert, fired_ms=decision.time_ms, due_ms=decision.due_ms)


def telling(row: Row, position: int) -> Row:
    """The row that shows subscribers the alert of `row`, behind its actions."""
    return {**row, "position": position, "action": f'{{"kind":"{TELL}"}}'}


def kind_of(row: Row) -> str:
    """The kind of action that a row asks for, or TELL."""
    return _kind_in(row["action"])


@lru_cache(1024)
def _kind_in(action: str) -> str:
    return str(json.loads(action)["kind"])


def is_main(row: Row) -> bool:
    """Whether a row is of `then`, not of an escalation or an end."""
    return str(row["job"]).count("-") == 1


def is_escalation(row: Row) -> bool:
    """Whether a row waits for nobody to acknowledge."""
    return "-escalate" in row["job"]


def _rows(
    job: str, actions: Sequence[Action], alert: Alert, *, fired_ms: int, due_ms: int
) -> list[Row]:
    text = alert.json()
    return [
        {
            "job": job,
            "position": position,
            "decision": alert.id,
            "policy": alert.policy,
            "device": alert.camera,
            "fired_ms": fired_ms,
            "action": action.model_dump_json(),
            "alert": text,
            "state": "wait",
            "attempts": 0,
            "due_ms": due_ms,
            "error": "",
        }
        for position, action in enumerate(actions)
    ]


def _probability(margin_q8: int, policy: Policy) -> float | None:
    """Of a phrase; a change of the scene has none."""
    if policy.changes is not None:
        return None
    return probability_of(margin_q8)
