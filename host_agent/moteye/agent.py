"""The agent: wires broker, devices, policies, engine and actions together.

device ─embedding─▶ Devices ─▶ inbox ─▶ Scorer ─▶ Engine ─decision─▶ Ledger ─▶ Outbox ─▶ actions
policies/*.yaml ─▶ compile ─▶ prototype set ─▶ SetKeeper ─▶ device
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from moteye_protocol import models, wire
from moteye_protocol.boxes import unpack_boxes
from moteye_protocol.prototype_set import set_hash, version

from moteye import feedback, policies
from moteye.actions.alert import Alert
from moteye.actions.outbox import Outbox
from moteye.actions.runner import ActionRunner
from moteye.config import Settings
from moteye.core.boxes import Box
from moteye.core.compile import CompiledSet
from moteye.core.engine import Engine, Observation
from moteye.core.language import Policy
from moteye.core.lints import without_positions
from moteye.core.marks import Mark
from moteye.core.scoring import Scorer, dims_of
from moteye.core.seen import is_infrared
from moteye.errors import (
    DeviceRefused,
    DeviceTimeout,
    FeedbackError,
    FleetError,
    LinkError,
    MoteyeError,
    PolicyErrors,
    StoreError,
)
from moteye.fleet import Fleet
from moteye.fleet_commands import AGENT_ID, COMMAND_TOPIC, AgentCommands, obey
from moteye.home.bridge import Bridge
from moteye.home.payloads import Topics
from moteye.house import AgentHouse
from moteye.judge import Item, Judge
from moteye.keys import load_keys
from moteye.ledger import Ledger
from moteye.link.broker import embedded_broker
from moteye.link.connection import Ack, Connection
from moteye.link.devices import Device, Devices
from moteye.schedule import WhileSchedule
from moteye.service import AgentService
from moteye.sets import SetArchive
from moteye.store import default_url, state_folder
from moteye.switches import PolicySwitches
from moteye.text.space import Space, load_space

log = structlog.get_logger("moteye.agent")
AGENT_TOPIC = f"{wire.TOPIC_ROOT}/_agent"
STATUS_TOPIC = f"{AGENT_TOPIC}/status"
ACK_TOPIC = f"{AGENT_TOPIC}/ack"
FEEDBACK_TOPIC = f"{AGENT_TOPIC}/feedback"
FACT_CHARS = 4096  # the longest message that `while: {mqtt: …}` looks at
RECENT_FRAMES = 32
EPOCH_MS = 86_400_000  # sets of an earlier day than the one confirmed are not used


class Agent:
    """One agent. `await run()` until cancelled.

    `ready` is set once policies are compiled and the broker is there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self.counters: Counter[str] = Counter()
        self.engine = Engine()
        self.ledger = Ledger(
            settings.store or default_url(),
            self.engine,
            record_days=settings.record_days,
            record_bytes=settings.record_mb * 1_000_000,
        )
        self._space: Space | None = None
        self._recent: dict[str, deque[tuple[int, npt.NDArray[np.int8]]]] = {}
        self._device_scorers: dict[tuple[bytes, int], Scorer] = {}
        self._topics = Topics(AGENT_TOPIC, settings.home_assistant_prefix)
        self._connection = Connection(
            settings.broker_url,
            client_id=settings.client_id,
            subscriptions=[
                (models.topic("+", name), qos)
                for name, (_, sender, qos, _) in wire.TOPICS.items()
                if sender == "device"
            ]
            + [
                (ACK_TOPIC, 1),
                (FEEDBACK_TOPIC, 1),
                (COMMAND_TOPIC, 1),
                *(Bridge.subscriptions(self._topics) if settings.home_assistant else []),
            ],
            on_message_to_ack=self._receive,
            on_connect=self._announce,
            status_topic=STATUS_TOPIC,
            keep_session=settings.broker is not None,
        )
        self._keys = load_keys(settings.keys)
        self._switches = PolicySwitches(state_folder() / "policies-off.json")
        key_of = self._keys.signing_key if self._keys else None
        self.devices = Devices(self._publish, key_of, resync=True)
        self._clock = self.devices.clock
        self._was_late = False
        self._runner = ActionRunner(
            self._connection.publish, self._picture, settings.actions, state_folder() / "pictures"
        )
        self._outbox = Outbox(self._runner, self)
        self.judge = Judge(self.engine, self.ledger, self._outbox.add)
        self.judge.learns = settings.camera_background
        self.fleet: Fleet | None = None
        self._commands = AgentCommands(self._ask_fleet, key_of(AGENT_ID) if key_of else None)
        self._house = self._make_house()
        self._home = self._make_home() if settings.home_assistant else None

    def _make_house(self) -> AgentHouse:
        return AgentHouse(
            self.settings,
            self.devices,
            self.judge,
            self._switches,
            fleet=lambda: self.fleet,
            load=self._reload,
            present=self.engine.present,
            waiting=lambda: self._outbox.waiting,
            feedback=self.feedback,
        )

    def _make_home(self) -> Bridge:
        ledger_file = state_folder() / "home-assistant.json"
        return Bridge(self._house, self._connection.publish, self._topics, ledger_file)

    async def _serve_api(self, place: str) -> None:
        from moteye.api.app import make_app
        from moteye.api.server import serve
        from moteye.api.tokens import Tokens

        service = AgentService(
            self._house,
            self.ledger,
            self.judge,
            self.devices,
            self._connection,
            counters=self.counters,
            acknowledge=self._outbox.acknowledge,
            feedback=self.feedback,
            ready=self.ready,
        )
        host, _, port = place.rpartition(":")
        await serve(make_app(service, Tokens(state_folder() / "tokens.json")), host, int(port))

    async def run(self) -> None:
        """Run until cancelled.

        Raises LinkError when the embedded broker cannot listen, PolicyErrors when the policies
        cannot be used at the start. Later mistakes in policy files are logged, and the policies
        that were good stay in force.
        """
        await self.load_space()
        assert self._space is not None
        assert self.fleet is not None
        await self.load_policies(await asyncio.to_thread(policies.load, self.settings.policies))
        self._outbox.add(await self.ledger.open())
        await self._restore_cameras(self._space.encoder_hash)
        for device, session, offset_ms in self.ledger.clock_offsets():
            self.devices.resume(device, session, offset_ms)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.ledger.close)
            if self.settings.broker is None:
                await stack.enter_async_context(embedded_broker(*self.settings.listen_address))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(self._connection.run(), name="connection")
            tasks.create_task(self.judge.run(), name="judge")
            tasks.create_task(self._outbox.run(), name="outbox")
            tasks.create_task(self.ledger.keep_house(), name="housekeeping")
            tasks.create_task(self.fleet.run(), name="sets")
            tasks.create_task(self._watch_policies(), name="policies")
            if self._home is not None:
                tasks.create_task(self._home.run(), name="home-assistant")
            if self.settings.api is not None:
                tasks.create_task(self._serve_api(self.settings.api), name="api")
            await self._connection.connected.wait()
            await self._tell_policies("")
            self.ready.set()

    async def load_space(self) -> None:
        """Load the embedding space; policies can be compiled, and sets kept, from then on."""
        self._space = await asyncio.to_thread(load_space, self.settings.space)
        self.fleet = Fleet(
            self.devices,
            self._publish,
            self._space.encoder_hash,
            SetArchive(self.settings.sets_folder),
            self.settings.plan,
            asks=self.settings.sets == "ask",
        )

    async def _restore_cameras(self, encoder_hash: bytes) -> None:
        """Go on with what cameras usually show."""
        if not self.judge.learns:
            return
        with contextlib.suppress(StoreError):
            found = await self.ledger.ask(lambda store: store.backgrounds(encoder_hash))
            self.judge.restore(found)

    async def load_policies(self, found: list[Policy]) -> None:
        """Compile `found` and put them in force all at once; devices follow by a swap."""
        space = self._space
        assert space is not None
        found = self._switches.keep(found)
        if not found:
            log.warning("no policies", path=str(self.settings.policies))
            await self._put_in_force(None)
            return
        fleet = self.fleet
        assert fleet is not None
        compiled = await asyncio.to_thread(
            space.compile,
            found,
            number=fleet.next_number(),
            dim=self.settings.dim,
            schedule_of=WhileSchedule,
            epoch=self._clock.unix_ms() // EPOCH_MS if self._keys else 0,
            previous=fleet.previous(),
        )
        compiled = replace(compiled, built=fleet.reuse(compiled.built))
        await self._put_in_force(compiled)
        data = compiled.built.data
        log.info(
            "policies in force",
            policies=[policy.name for policy in found],
            phrases=len(compiled.built.prototypes.names),
            set=version(compiled.built.prototypes.number, data),
            bytes=len(data),
        )
        unplaced = [] if space.gives_positions else found
        for one in (lint for policy in unplaced for lint in without_positions(policy)):
            log.warning("a policy that can never alert", policy=one.policy, reason=one.text)
        if self._connection.connected.is_set():
            await self._announce()

    async def _put_in_force(self, compiled: CompiledSet | None) -> None:
        """Replace all at once: who is cut off further down leaves the new ones in force (T41)."""
        self.judge.compiled = compiled
        self.engine.replace(compiled.policies if compiled is not None else ())
        self._device_scorers.clear()
        self.judge.calibrate(self.engine.calibrations)
        if self.fleet is not None and self._space is not None and compiled is not None:
            words = self.fleet.codebook(self.settings.dim)
            self.fleet.want(self._space.offer(compiled.built, words))
        await self.ledger.policies_changed()
        await self._connection.subscribe(self.engine.topics)

    async def _announce(self) -> None:
        """Tell subscribers which phrase each row of the prototype set stands for (retained)."""
        if self._home is not None:
            self._home.connected()
        if self.judge.compiled is None:
            return
        built = self.judge.compiled.built
        names = {
            "set": set_hash(built.data).hex(),
            "version": version(built.prototypes.number, built.data),
            "names": list(built.prototypes.names),
        }
        text = json.dumps(names, ensure_ascii=False)
        await self._tell("set", text, qos=1, retain=True)

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self._connection.publish(topic, payload, qos=1)

    async def _receive(self, topic: str, payload: bytes, retain: bool, ack: Ack) -> None:
        arrival_ms = self._clock.now_ms()
        self._look_at_the_wall(arrival_ms)
        if topic in self.engine.topics:
            self.ledger.tell(topic, payload.decode(errors="replace")[:FACT_CHARS], arrival_ms)
        if not topic.startswith(f"{wire.TOPIC_ROOT}/"):
            ack()
            return
        if topic == ACK_TOPIC:
            ack()
            await self._acknowledge(payload, retain)
            return
        if topic == FEEDBACK_TOPIC:
            ack()
            await self._heard_of(payload, retain)
            return
        if topic == COMMAND_TOPIC:
            ack()
            await self._obey(payload, retain)
            return
        if topic == STATUS_TOPIC:
            self._look_for_others(payload)
        if self._home is not None and self._home.takes(topic):
            ack()
            await self._home.receive(topic, payload, retain)
            return
        if not payload and topic.endswith("/birth") and not retain:
            self._forget(topic.split("/")[-2])
        taken = self.devices.receive(topic, payload, retain)
        if taken is not None and isinstance(taken[1], models.Embedding):
            self._tell_fleet(*taken)
            await self._enqueue(taken[0], taken[1], arrival_ms, ack)
            return
        ack()
        if taken is None:
            return
        device, message = taken
        self._tell_fleet(device, message)
        match message:
            case models.Status():
                log.info("device", device=device.id, state=message.state, session=message.s)
            case models.Detections():
                self._compare(device, message)

    def _look_at_the_wall(self, now_ms: int) -> None:
        """Durations go by a clock that nobody sets; windows of `while:` by the wall's (T19)."""
        ahead_ms = self._clock.ahead_ms(self.engine.ahead_ms)
        if ahead_ms != self.engine.ahead_ms:
            log.warning("the clock was set", by_s=(ahead_ms - self.engine.ahead_ms) / 1000)
            self.ledger.wall_was_set(ahead_ms, now_ms)

    def _look_for_others(self, payload: bytes) -> None:
        """Two agents would both act on every alert (T15): say so, once for each that comes."""
        with contextlib.suppress(ValueError, AttributeError):
            said = json.loads(payload)
            other = said.get("client")
            if said.get("state") == "online" and other not in (None, self.settings.client_id):
                self.counters["other_agents"] += 1
                log.error(
                    "another agent is online: both act on every alert",
                    client_id=other,
                    hint="stop one, or divide the devices between them with `cameras:`",
                )

    def _forget(self, device_id: str) -> None:
        """Somebody cleared a device's retained birth: it is not one of the house any more."""
        device = self.devices.all.get(device_id)
        if device is not None and not device.online:
            del self.devices.all[device_id]
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
        stopped = await self._outbox.acknowledge(text)
        log.info("acknowledged", what=text, alerts=len(stopped))
        report = {"event": "acknowledged", "what": text, "alerts": stopped}
        await self._tell("event", json.dumps(report), qos=0)

    async def _heard_of(self, payload: bytes, retain: bool) -> None:
        """Somebody says of an alert on MQTT what it was; the answer goes to `_agent/event`."""
        report: dict[str, Any] = {"event": "feedback", "tid": ""}
        try:
            request = feedback.request_of(payload)
            report["tid"] = request.get("tid", "")
            if retain:
                raise FeedbackError("a retained message is said again and again: not taken")
            mark = await self.feedback(request)
            report |= {"ok": True, "mark": mark.number, "text": mark.text}
        except (FeedbackError, StoreError) as error:
            report |= {"ok": False, "text": str(error)}
            log.warning("feedback refused", reason=str(error))
        await self._tell("event", json.dumps(report, ensure_ascii=False), qos=1)

    async def feedback(self, request: dict[str, str]) -> Mark:
        """Take what somebody says of an alert, `{"event", "said"}`, or take it back, `{"undo"}`.

        It counts from the next frame and is written down. Raises FeedbackError, StoreError.
        """
        await self.ledger.commit()
        now_ms = self._clock.unix_ms()
        mark = await self.ledger.ask(
            lambda store: feedback.carried_out(store, request, time_ms=now_ms)
        )
        self.ledger.mark(mark)
        if mark.verdict in ("known", "right") and not mark.undone_ms:
            self.judge.cameras.showed(mark.device, mark.embedding)
        await self.ledger.commit()
        log.info("feedback", mark=mark.number, said=mark.text, policy=mark.policy)
        return mark

    async def _obey(self, payload: bytes, retain: bool) -> None:
        """A command to the agent itself; without its key in a fleet with keys it is refused."""
        answer = self._commands.take(payload, retain, self._clock.unix_ms())
        if answer is not None:
            await self._tell("reply", answer, qos=1)

    def _ask_fleet(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        if self.fleet is None:
            raise FleetError("the agent is not ready yet; try again")
        return obey(self.fleet, op, args)

    def _tell_fleet(self, device: Device, message: models.Message) -> None:
        if self.fleet is not None:
            self.fleet.heard(device.id, message)

    async def _enqueue(
        self, device: Device, message: models.Embedding, arrival_ms: int, ack: Ack
    ) -> None:
        if self._space is None or message.encoder != self._space.encoder_hash:
            self.counters["embedding.other_space"] += 1
            if self.counters["embedding.other_space"] == 1:
                log.error(
                    "embeddings of another encoder are left alone",
                    device=device.id,
                    encoder=message.encoder.hex(),
                )
            ack()
            return
        vector = np.frombuffer(message.e, np.int8)
        recent = self._recent.setdefault(device.id, deque(maxlen=RECENT_FRAMES))
        recent.append((message.frame, vector))
        time_ms = self.ledger.time_of(device.id, device.presence, message.at, arrival_ms)
        late = self._is_late(device, (arrival_ms - time_ms) / 1000)
        infrared = is_infrared(message.colour)
        where = (device.id, message.s, message.n, message.frame, time_ms)
        boxes = self._boxes(message)
        seen = Observation(*where, late, boxes, embedding=message.e, infrared=infrared)
        await self.judge.put(Item(seen, message, ack))

    def _boxes(self, message: models.Embedding) -> tuple[Box, ...] | None:
        """What stands where, by the columns of the policies in force; None where it is not told.

        A device that still uses an earlier set counts its rows by that.
        """
        form = self.fleet.form(message.set) if self.fleet is not None and message.set else None
        if message.boxes is None or form is None or self.judge.compiled is None:
            return None
        now, then = self.judge.compiled.built.prototypes.names, form.prototypes.names
        # A set without names is one in force: only the newest are made so.
        column = {name: at for at, name in enumerate(now)}
        columns = [column.get(name, -1) for name in then] if then else list(range(len(now)))
        return tuple(
            Box(columns[box.row], *box[1:])
            for box in unpack_boxes(message.boxes)
            if box.row < len(columns) and columns[box.row] >= 0
        )

    def _is_late(self, device: Device, age_s: float) -> bool:
        """Whether a frame is too old to alert anybody: a backlog is history (T23)."""
        late = age_s > self.settings.max_age_s
        if late:
            self.counters["embedding.late"] += 1
            if not self._was_late:
                log.warning("late frames alert nobody", device=device.id, age_s=int(age_s))
        elif self._was_late:
            log.info("frames come in time again", late=self.counters["embedding.late"])
        self._was_late = late
        return late

    async def delivered(self, rows: list[dict[str, Any]]) -> None:
        """The outbox has tried: write down what came of it."""
        await self.ledger.delivered(rows)

    async def tell(self, alert: Alert) -> None:
        """Tell subscribers of an alert."""
        await self._tell("alert", alert.json(), qos=1)
        if self._home is not None:
            try:
                await self._home.alerted(asdict(alert))
            except LinkError as error:
                log.error("Home Assistant not told", reason=str(error))

    def undelivered(self, policy: str, device: str, fired_ms: int) -> None:
        """An alert came to nobody: it does not count for the cooldown."""
        self.ledger.release(policy, device, fired_ms)

    async def asked_again(self) -> list[dict[str, Any]]:
        """Actions that a person asked to try again."""
        return await self.ledger.asked_again()

    def policy(self, name: str) -> Policy | None:
        """The policy of that name, if it is in force."""
        return self.judge.policy(name)

    async def _picture(self, device_id: str, frame: int) -> npt.NDArray[np.uint8]:
        device = self.devices.all.get(device_id)
        if device is None:
            raise DeviceTimeout(f"{device_id} is not known")
        if device.birth is not None and not device.birth.frames:
            raise DeviceRefused(device_id, "frame.get", "forbidden")
        return await self.devices.picture(device, frame)

    async def _watch_policies(self) -> None:
        async for found in policies.watch(self.settings.policies):
            if isinstance(found, PolicyErrors):
                log.error("policies not changed: fix these first")
                for problem in found.problems:
                    log.error(str(problem))
                await self._refused(str(found))
            else:
                await self._reload(found)

    async def _reload(self, found: list[Policy]) -> None:
        """Put other policies in force; where that fails the old ones stay, and it shows."""
        try:
            await self.load_policies(found)
        except (MoteyeError, ValueError, ArithmeticError, MemoryError) as error:
            log.error("policies not changed", reason=str(error))
            await self._refused(str(error) or type(error).__name__)
        else:
            await self._tell_policies("")

    async def _refused(self, problems: str) -> None:
        report = {"event": "policy_errors", "problems": problems}
        await self._tell("event", json.dumps(report, ensure_ascii=False), qos=0)
        await self._tell_policies(problems)

    async def _tell_policies(self, problems: str) -> None:
        """Which policies are in force, and why the latest ones are not (retained)."""
        state = {
            "state": "refused" if problems else "ok",
            "in_force": [item.policy.name for item in self.engine.policies],
            "problems": problems,
        }
        await self._tell("policies", json.dumps(state, ensure_ascii=False), qos=1, retain=True)

    async def _tell(self, topic: str, text: str, *, qos: int, retain: bool = False) -> None:
        """Tell subscribers; without a broker it is logged and dropped."""
        payload = text.encode()
        try:
            await self._connection.publish(
                f"{AGENT_TOPIC}/{topic}", payload, qos=qos, retain=retain
            )
        except LinkError as error:
            log.error("subscribers not told", reason=str(error))

    def _compare(self, device: Device, message: models.Detections) -> None:
        """Device and host must come to the same integers from the same bytes.

        Count where they do not.
        """
        form = self.fleet.form(message.set) if self.fleet is not None else None
        if form is None or message.dim not in dims_of(form.prototypes):
            return
        vector = next((v for f, v in self._recent.get(device.id, ()) if f == message.frame), None)
        if vector is None:
            return
        key = (message.set, message.dim)
        if key not in self._device_scorers:
            self._device_scorers[key] = Scorer(form.prototypes, message.dim)
        ours = self._device_scorers[key].margins_q8(vector[None])[0]
        self.counters["detections.compared"] += 1
        for row, margin_q8, _ in message.rows:
            if row >= len(ours) or int(ours[row]) != margin_q8:
                self.counters["detections.unequal"] += 1
                log.error("device and host disagree", device=device.id, row=row, margin=margin_q8)
                return
