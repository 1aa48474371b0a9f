"""What people say of alerts, from words to a mark: for the command, MQTT and the API alike."""

import json
import re
import time
from datetime import datetime

from moteye.core.decisions import Decision
from moteye.core.marks import Mark
from moteye.core.seen import is_infrared
from moteye.errors import FeedbackError
from moteye.store import Batch, RecordedEvent, Store

_NAME = re.compile(r"[^\W_][\w .-]{0,63}")
_LEAST_CHARS = 4


def frame_behind(store: Store, what: str) -> tuple[Decision, RecordedEvent]:
    """The decision of an id, or of the beginning of one, and the frame that it was made on.

    Raises FeedbackError where there is none, or none that is recorded.
    """
    found = store.decisions(prefix=what, limit=3) if len(what) >= _LEAST_CHARS else []
    decisions = {decision.id: decision for decision in found}
    if len(decisions) != 1:
        reason = "fits several decisions" if decisions else "is no decision on record"
        raise FeedbackError(f"{what!r} {reason}: `moteye decisions` lists their ids")
    (decision,) = decisions.values()
    event = store.frame_of(decision)
    if event is None:
        raise FeedbackError(f"the frame of {what} is not recorded any more (record_days)")
    return decision, event


def mark_of(store: Store, what: str, said: str, *, time_ms: int) -> Mark:
    """The mark that `said` (known, wrong, right or a name) makes of the decision `what`.

    `what` is the id of an alert or decision, or its beginning. Said twice it is one mark.
    Raises FeedbackError, whose text says what to do, and StoreError.
    """
    verdict, name = (said, "") if said in ("known", "wrong", "right") else ("name", said.strip())
    if verdict == "name" and not _NAME.fullmatch(name):
        raise FeedbackError(f"{said!r} is neither known, wrong or right nor a name of letters")
    decision, event = frame_behind(store, what)
    marks = store.marks()
    for mark in marks:
        same = (mark.decision, mark.verdict, mark.name) == (decision.id, verdict, name)
        if same and not mark.undone_ms:
            return mark
    numbers = [mark.number for mark in marks]
    return Mark(
        number=max(numbers, default=0) + 1,
        time_ms=time_ms,
        day=f"{datetime.fromtimestamp(time_ms / 1000).astimezone():%Y-%m-%d}",
        decision=decision.id,
        policy=decision.policy,
        device=decision.device,
        verdict=verdict,
        name=name,
        phrase=decision.phrase,
        margin_q8=decision.margin_q8,
        infrared=is_infrared(event.colour),
        embedding=event.vector,
    )


def undo_of(store: Store, number: int, *, time_ms: int) -> Mark:
    """The mark of that number, taken back. Raises FeedbackError where there is none."""
    mark = next((one for one in store.marks() if one.number == number), None)
    if mark is None:
        raise FeedbackError(f"there is no mark {number}: `moteye feedback list` lists them")
    if mark.undone_ms:
        raise FeedbackError(f"mark {number} is taken back already")
    return mark.undone(time_ms)


def request_of(payload: bytes) -> dict[str, str]:
    """{"event", "said"} or {"undo"}, and a "tid", of a message. Raises FeedbackError."""
    try:
        asked = json.loads(payload)
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or not ({"event", "said"} <= asked.keys() or "undo" in asked):
        raise FeedbackError('a map is wanted: {"event": ID, "said": "wrong"} or {"undo": 3}')
    return {key: str(value) for key, value in asked.items()}


def carried_out(store: Store, request: dict[str, str], *, time_ms: int) -> Mark:
    """The mark that a request asks for; nothing is written. Raises FeedbackError."""
    if "undo" not in request:
        return mark_of(store, request["event"], request["said"], time_ms=time_ms)
    if not request["undo"].isdigit():
        raise FeedbackError(f"{request['undo']!r} is not the number of a mark")
    return undo_of(store, int(request["undo"]), time_ms=time_ms)


def write(store: Store, mark: Mark) -> None:
    """Write a mark where no agent runs; the next one begins with it."""
    event = RecordedEvent("k", mark.device, time_ms=int(time.time() * 1000), data=mark.json())
    store.commit(Batch(events=[event], marks={mark.number: mark}))
