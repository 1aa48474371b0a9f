"""Every message that the broker brings, to whom it is for; embeddings to the judge."""

import contextlib
import json
from collections import Counter
from typing import Any, Protocol

import structlog
from moteye_protocol import models, wire
from moteye_protocol.boxes import unpack_boxes

from moteye import feedback
from moteye.agreement import Agreement
from moteye.config import Settings
from moteye.core.boxes import Box
from moteye.core.engine import Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.marks import Mark
from moteye.core.scoring import AnySet
from moteye.core.seen import is_infrared
from moteye.errors import FeedbackError, FleetError, StoreError
from moteye.fleet import Fleet
from moteye.fleet_commands import COMMAND_TOPIC, AgentCommands, obey
from moteye.home.bridge import Bridge
from moteye.in_force import InForce
from moteye.judge import CaptionItem, Item, Judge
from moteye.ledger import Ledger
from moteye.link.connection import Ack
from moteye.link.devices import Device, Devices
from moteye.other_agents import OtherAgents
from moteye.topics import ACK_TOPIC, FEEDBACK_TOPIC, SET_TOPIC, STATUS_TOPIC, Subscribers

log = structlog.get_logger("moteye.agent")
FACT_CHARS = 4096  # the longest message that `while: {mqtt: …}` looks at


class People(Protocol):
    """What people may say to the agent."""

    async def acknowledge(self, what: str) -> list[str]:
        """Somebody has seen an alert, by id or tag; the ids whose escalation ends."""

    async def feedback(self, request: dict[str, str]) -> Mark:
        """Take what somebody says of an alert. Raises FeedbackError, StoreError."""

    async def say_online(self) -> None:
        """Say again that this agent is there."""


class Reception:
    """`await receive(…)` each message in its order."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        ledger: Ledger,
        judge: Judge,
        devices: Devices,
        in_force: InForce,
        people: People,
        subscribers: Subscribers,
        *,
        home: Bridge | None,
        others: OtherAgents,
        commands_key: bytes | None,
        counters: Counter[str],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._ledger = ledger
        self._judge = judge
        self._devices = devices
        self._in_force = in_force
        self._people = people
        self._subscribers = subscribers
        self._home = home
        folder = settings.sets_folder
        self._commands = AgentCommands(
            self._ask_fleet,
            commands_key,
            client_id=settings.client_id,
            kept=folder / "answers.json" if folder is not None else None,
        )
        self._counters = counters
        self._others = others
        self._was_late = False
        self._agreement = Agreement(counters, self._form)
        self._to_agent = {
            ACK_TOPIC: self._acknowledge,
            FEEDBACK_TOPIC: self.heard_of,
            COMMAND_TOPIC: self._obey,
            SET_TOPIC: self._heard_set,
        }

    @property
    def _fleet(self) -> Fleet | None:
        return self._in_force.fleet

    async def receive(self, topic: str, payload: bytes, retain: bool, ack: Ack) -> None:
        """Take one message; embeddings and captions are acknowledged when they are written down."""
        arrival_ms = self._devices.clock.now_ms()
        self._look_at_the_wall(arrival_ms)
        if topic in self._engine.topics:
            self._ledger.tell(topic, payload.decode(errors="replace")[:FACT_CHARS], arrival_ms)
        if not topic.startswith(f"{wire.TOPIC_ROOT}/") or await self._is_for_agent(
            topic, payload, retain
        ):
            ack()
            return
        if not payload and topic.endswith("/birth") and not retain:
            self._forget(topic.split("/")[-2])
        taken = self._devices.receive(topic, payload, retain)
        if taken is not None and isinstance(taken[1], models.Embedding):
            self._tell_fleet(*taken)
            await self._enqueue(taken[0], taken[1], arrival_ms, ack)
            return
        if taken is not None and isinstance(taken[1], models.Caption):
            self._tell_fleet(*taken)
            await self._enqueue_caption(taken[0], taken[1], arrival_ms, ack)
            return
        ack()
        if taken is None:
            return
        device, message = taken
        self._tell_fleet(device, message)
        match message:
            case models.Status():
                log.info("device", device=device.id, state=message.state, session=message.s)
            case models.Birth():
                await self._in_force.meet(message.encoder, device.id)
                self._in_force.tell_silent([device])
            case models.Detections():
                self._agreement.compare(device.id, message)

    async def _is_for_agent(self, topic: str, payload: bytes, retain: bool) -> bool:
        """Take what is said to the agent itself; whether it was."""
        if topic in self._to_agent:
            await self._to_agent[topic](payload, retain)
            return True
        if topic == STATUS_TOPIC and self._others.heard_status(payload) and not retain:
            await self._people.say_online()
        if self._home is None or not self._home.takes(topic):
            return False
        await self._home.receive(topic, payload, retain)
        return True

    def _look_at_the_wall(self, now_ms: int) -> None:
        """Durations go by a clock that nobody sets; windows of `while:` by the wall's (T19)."""
        ahead_ms = self._devices.clock.ahead_ms(self._engine.ahead_ms)
        if ahead_ms != self._engine.ahead_ms:
            log.warning("the clock was set", by_s=(ahead_ms - self._engine.ahead_ms) / 1000)
            self._ledger.wall_was_set(ahead_ms, now_ms)

    async def _heard_set(self, payload: bytes, retain: bool) -> None:
        """Which devices an agent brings its sets to."""
        self._others.heard_set(payload)

    def _forget(self, device_id: str) -> None:
        """Somebody cleared a device's retained birth: it is not one of the house any more."""
        device = self._devices.all.get(device_id)
        if device is not None and not device.online:
            del self._devices.all[device_id]
            self._judge.forget(device_id)
            log.info("device forgotten", device=device_id)
            if self._home is not None:
                self._home.forget(device_id)

    async def _acknowledge(self, payload: bytes, retain: bool) -> None:
        """Somebody has seen an alert: `{"what": id or tag}`, or either as plain text."""
        text = payload.decode(errors="replace").strip()
        with contextlib.suppress(ValueError):
            told = json.loads(text)
            text = str(told.get("what", "")) if isinstance(told, dict) else text
        if retain or not text:
            log.warning("acknowledgement refused", reason="retained" if retain else "empty")
            return
        stopped = await self._people.acknowledge(text)
        log.info("acknowledged", what=text, alerts=len(stopped))
        report = {"event": "acknowledged", "what": text, "alerts": stopped}
        await self._subscribers.tell("event", json.dumps(report), qos=0)

    async def heard_of(self, payload: bytes, retain: bool) -> None:
        """Somebody says of an alert on MQTT what it was; the answer goes to `_agent/event`."""
        report: dict[str, Any] = {"event": "feedback", "tid": ""}
        try:
            request = feedback.request_of(payload)
            report["tid"] = request.get("tid", "")
            if retain:
                raise FeedbackError("a retained message is said again and again: not taken")
            mark = await self._people.feedback(request)
            report |= {"ok": True, "mark": mark.number, "text": mark.text}
        except (FeedbackError, StoreError) as error:
            report |= {"ok": False, "text": str(error)}
            log.warning("feedback refused", reason=str(error))
        await self._subscribers.tell("event", json.dumps(report, ensure_ascii=False), qos=1)

    async def _obey(self, payload: bytes, retain: bool) -> None:
        """A command to the agent itself; without its key in a fleet with keys it is refused."""
        answer = self._commands.take(payload, retain, self._devices.clock.unix_ms())
        if answer is not None:
            await self._subscribers.tell("reply", answer, qos=1)

    def _ask_fleet(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        fleets = self._in_force.fleets
        if fleets is None:
            raise FleetError("the agent is not ready yet; try again")
        return obey(fleets, op, args)

    def _tell_fleet(self, device: Device, message: models.Message) -> None:
        fleets = self._in_force.fleets
        if fleets is not None:
            fleets.of(device).heard(device.id, message)

    def _form(self, name: bytes) -> AnySet | None:
        fleets = self._in_force.fleets
        form = fleets.form(name) if fleets is not None else None
        return form.prototypes if form is not None else None

    async def _enqueue(
        self, device: Device, message: models.Embedding, arrival_ms: int, ack: Ack
    ) -> None:
        if not self._in_force.judges(message.encoder):
            await self._in_force.meet(message.encoder, device.id)
        if not self._in_force.judges(message.encoder):
            self._counters["embedding.other_space"] += 1  # why has been told
            ack()
            return
        self._agreement.saw(device.id, message.frame, message.e)
        time_ms = self._ledger.time_of(device.id, device.presence, message.at, arrival_ms)
        late = self._is_late(device, (arrival_ms - time_ms) / 1000)
        infrared = is_infrared(message.colour)
        where = (device.id, message.s, message.n, message.frame, time_ms)
        boxes = self._boxes(message)
        seen = Observation(
            *where, late, boxes, embedding=message.e, infrared=infrared, encoder=message.encoder
        )
        await self._judge.put(Item(seen, message, ack))

    async def _enqueue_caption(
        self, device: Device, message: models.Caption, arrival_ms: int, ack: Ack
    ) -> None:
        time_ms = self._ledger.time_of(device.id, device.presence, message.at, arrival_ms)
        seen = Caption(
            *(device.id, message.s, message.n, message.frame, time_ms),
            late=self._is_late(device, (arrival_ms - time_ms) / 1000),
            embedding=await self._in_force.sentence_vector(message.text),
            encoder=message.model,
            text=message.text,
        )
        await self._judge.put(CaptionItem(seen, message, ack))
        if self._home is not None:
            await self._home.captioned(device.id, message.frame, message.text)

    def _boxes(self, message: models.Embedding) -> tuple[Box, ...] | None:
        """What stands where, by the columns of the policies in force; None where it is not told.

        A device that still uses an earlier set counts its rows by that.
        """
        earlier = self._form(message.set) if message.set else None
        compiled = self._judge.compiled
        if message.boxes is None or earlier is None or compiled is None:
            return None
        # A set without names is one in force: only the newest are made so.
        names = earlier.names or compiled.of(message.encoder).built.prototypes.names
        return tuple(
            Box(compiled.columns[names[box.row]], *box[1:])
            for box in unpack_boxes(message.boxes)
            if box.row < len(names) and names[box.row] in compiled.columns
        )

    def _is_late(self, device: Device, age_s: float) -> bool:
        """Whether a frame is too old to alert anybody: a backlog is history (T23)."""
        late = age_s > self._settings.max_age_s
        if late:
            self._counters["embedding.late"] += 1
            if not self._was_late:
                log.warning("late frames alert nobody", device=device.id, age_s=int(age_s))
        elif self._was_late:
            log.info("frames come in time again", late=self._counters["embedding.late"])
        self._was_late = late
        return late
