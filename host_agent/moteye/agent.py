"""The agent: wires broker, devices, policies, engine and actions together.

device ─embedding─▶ Devices ─▶ inbox ─▶ Scorer ─▶ Engine ─decision─▶ alerts ─▶ ActionRunner
policies/*.yaml ─▶ compile ─▶ prototype set ─▶ SetKeeper ─▶ device
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import set_hash, version

from moteye import policies
from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.config import Settings
from moteye.core.compile import CompiledSet, compile_policies
from moteye.core.engine import Decision, Engine, Observation
from moteye.core.policy import Policy
from moteye.core.scoring import Scorer, prob_q8
from moteye.errors import DeviceTimeout, LinkError, PolicyErrors
from moteye.link.broker import embedded_broker
from moteye.link.connection import Connection
from moteye.link.devices import Device, Devices
from moteye.link.swap import SetKeeper
from moteye.text.space import Space, load_space

log = structlog.get_logger("moteye.agent")
AGENT_TOPIC = f"{wire.TOPIC_ROOT}/_agent"
INBOX_LIMIT = 2048
ALERT_LIMIT = 256
RECENT_FRAMES = 32


@dataclass(frozen=True)
class _Item:
    device: Device
    message: models.Embedding
    time_ms: int


class Agent:
    """One agent. `await run()` until cancelled.

    `ready` is set once policies are compiled and the broker is there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self.counters: Counter[str] = Counter()
        self.engine = Engine()
        self._space: Space | None = None
        self._compiled: CompiledSet | None = None
        self._set_number = 0
        self._inbox: deque[_Item] = deque()
        self._inbox_filled = asyncio.Event()
        self._alerts: asyncio.Queue[Decision] = asyncio.Queue(ALERT_LIMIT)
        self._recent: dict[str, deque[tuple[int, npt.NDArray[np.int8]]]] = {}
        self._device_scorers: dict[tuple[bytes, int], Scorer] = {}
        self._connection = Connection(
            settings.broker_url,
            client_id=settings.client_id,
            subscriptions=[
                (models.topic("+", name), qos)
                for name, (_, sender, qos, _) in wire.TOPICS.items()
                if sender == "device"
            ],
            on_message=self._receive,
            on_connect=self._announce,
            status_topic=f"{AGENT_TOPIC}/status",
        )
        self.devices = Devices(self._publish, resync=True)
        self._clock = self.devices.clock
        self._was_late = False
        self._runner = ActionRunner(self._connection.publish, self._picture)
        self._keeper: SetKeeper | None = None

    async def run(self) -> None:
        """Run until cancelled.

        Raises LinkError when the embedded broker cannot listen, PolicyErrors when the policies
        cannot be used at the start. Later mistakes in policy files are logged, and the policies
        that were good stay in force.
        """
        self._space = await asyncio.to_thread(load_space, self.settings.space)
        self._keeper = SetKeeper(self.devices, self._publish, self._space.encoder_hash)
        await self.load_policies(await asyncio.to_thread(policies.load, self.settings.policies))
        async with contextlib.AsyncExitStack() as stack:
            if self.settings.broker is None:
                await stack.enter_async_context(embedded_broker(*self.settings.listen_address))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(self._connection.run(), name="connection")
            tasks.create_task(self._judge(), name="judge")
            tasks.create_task(self._act(), name="act")
            tasks.create_task(self._keeper.run(), name="sets")
            tasks.create_task(self._watch_policies(), name="policies")
            await self._connection.connected.wait()
            self.ready.set()

    async def load_policies(self, found: list[Policy]) -> None:
        """Compile `found` and put them in force all at once; devices follow by a swap."""
        space = self._space
        assert space is not None
        if not found:
            log.warning("no policies", path=str(self.settings.policies))
            self._compiled = None
            self.engine.replace(())
            return
        self._set_number += 1
        compiled = await asyncio.to_thread(
            compile_policies,
            found,
            space.phrase_vectors,
            space.background,
            space.logistic,
            encoder_hash=space.encoder_hash,
            number=self._set_number,
            dim=self.settings.dim,
        )
        self._compiled = compiled
        self.engine.replace(compiled.policies)
        self._device_scorers.clear()
        data = compiled.built.data
        log.info(
            "policies in force",
            policies=[policy.name for policy in found],
            phrases=len(compiled.built.prototypes.names),
            set=version(self._set_number, data),
            bytes=len(data),
        )
        if self._keeper is not None:
            self._keeper.want(data)
        if self._connection.connected.is_set():
            await self._announce()

    async def _announce(self) -> None:
        """Tell subscribers which phrase each row of the prototype set stands for (retained)."""
        if self._compiled is None:
            return
        built = self._compiled.built
        names = {
            "set": set_hash(built.data).hex(),
            "version": version(built.prototypes.number, built.data),
            "names": list(built.prototypes.names),
        }
        payload = json.dumps(names, ensure_ascii=False).encode()
        await self._connection.publish(f"{AGENT_TOPIC}/set", payload, retain=True)

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self._connection.publish(topic, payload, qos=1)

    async def _receive(self, topic: str, payload: bytes, retain: bool) -> None:
        arrival_ms = self._clock.now_ms()
        taken = self.devices.receive(topic, payload, retain)
        if taken is None:
            return
        device, message = taken
        match message:
            case models.Status():
                log.info("device", device=device.id, state=message.state, session=message.s)
            case models.Embedding():
                self._enqueue(device, message, arrival_ms)
            case models.Detections():
                self._compare(device, message)

    def _enqueue(self, device: Device, message: models.Embedding, arrival_ms: int) -> None:
        if self._space is None or message.encoder != self._space.encoder_hash:
            self.counters["embedding.other_space"] += 1
            if self.counters["embedding.other_space"] == 1:
                log.error(
                    "embeddings of another encoder are left alone",
                    device=device.id,
                    encoder=message.encoder.hex(),
                )
            return
        vector = np.frombuffer(message.e, np.int8)
        recent = self._recent.setdefault(device.id, deque(maxlen=RECENT_FRAMES))
        recent.append((message.frame, vector))
        if len(self._inbox) >= INBOX_LIMIT:
            self._make_room()
        time_ms = device.presence.event_time_ms(message.at, arrival_ms)
        self._inbox.append(_Item(device, message, time_ms))
        self._inbox_filled.set()

    def _make_room(self) -> None:
        """Drop the oldest heartbeat; only without any, the oldest of all."""
        self.counters["inbox.dropped"] += 1
        for index, item in enumerate(self._inbox):
            if item.message.why == "heartbeat":
                del self._inbox[index]
                return
        self._inbox.popleft()

    async def _judge(self) -> None:
        """Score what has arrived in one product, and hand the decisions on."""
        while True:
            await self._inbox_filled.wait()
            self._inbox_filled.clear()
            items = [item for item in self._inbox if not self._is_late(item)]
            self._inbox.clear()
            compiled = self._compiled
            if compiled is None or not items:
                continue
            batch = np.stack([np.frombuffer(item.message.e, np.int8) for item in items])
            margins = compiled.scorer.margins_q8(batch)
            for item, row in zip(items, margins, strict=True):
                message = item.message
                seen = Observation(
                    item.device.id, message.s, message.n, message.frame, item.time_ms
                )
                for decision in self.engine.observe(seen, row):
                    await self._decided(decision)

    def _is_late(self, item: _Item) -> bool:
        """Whether a frame is too old to decide anything: a backlog alerts nobody (T23)."""
        age_s = (self._clock.now_ms() - item.time_ms) / 1000
        is_late = age_s > self.settings.max_age_s
        if is_late:
            self.counters["embedding.late"] += 1
            if not self._was_late:
                log.warning("late frames decide nothing", device=item.device.id, age_s=int(age_s))
        self._was_late = is_late
        return is_late

    async def _decided(self, decision: Decision) -> None:
        if decision.fired:
            await self._alerts.put(decision)
        else:
            log.info(
                "suppressed",
                policy=decision.policy,
                camera=decision.device,
                phrase=decision.phrase,
                reason=decision.reason,
            )

    async def _act(self) -> None:
        while True:
            decision = await self._alerts.get()
            policy = self._policy(decision.policy)
            if policy is None:  # removed while the alert waited
                continue
            probability = int(prob_q8(np.array([decision.margin_q8], np.int16))[0]) / 255
            alert, succeeded = await self._runner.run(
                Alert.of(decision, probability, self._clock.unix_ms(decision.time_ms)),
                list(policy.then),
            )
            if not succeeded:
                self.engine.release(decision.policy, decision.device, decision.time_ms)
            await self._tell("alert", alert.json(), qos=1)

    def _policy(self, name: str) -> Policy | None:
        compiled = self._compiled.policies if self._compiled else ()
        return next((item.policy for item in compiled if item.policy.name == name), None)

    async def _picture(self, device_id: str, frame: int) -> npt.NDArray[np.uint8]:
        device = self.devices.all.get(device_id)
        if device is None:
            raise DeviceTimeout(f"{device_id} is not known")
        return await self.devices.picture(device, frame)

    async def _watch_policies(self) -> None:
        async for found in policies.watch(self.settings.policies):
            if isinstance(found, PolicyErrors):
                log.error("policies not changed: fix these first")
                for problem in found.problems:
                    log.error(str(problem))
                report = {"event": "policy_errors", "problems": str(found)}
                await self._tell("event", json.dumps(report), qos=0)
            else:
                await self.load_policies(found)

    async def _tell(self, topic: str, text: str, *, qos: int) -> None:
        """Tell subscribers; without a broker it is logged and dropped."""
        try:
            await self._connection.publish(f"{AGENT_TOPIC}/{topic}", text.encode(), qos=qos)
        except LinkError as error:
            log.error("subscribers not told", reason=str(error))

    def _compare(self, device: Device, message: models.Detections) -> None:
        """Device and host must come to the same integers from the same bytes.

        Count where they do not.
        """
        compiled = self._compiled
        if compiled is None or message.set != set_hash(compiled.built.data):
            return
        vector = next((v for f, v in self._recent.get(device.id, ()) if f == message.frame), None)
        if vector is None:
            return
        key = (message.set, message.dim)
        if key not in self._device_scorers:
            self._device_scorers[key] = Scorer(compiled.built.prototypes, message.dim)
        ours = self._device_scorers[key].margins_q8(vector[None])[0]
        self.counters["detections.compared"] += 1
        for row, margin_q8, _ in message.rows:
            if row >= len(ours) or int(ours[row]) != margin_q8:
                self.counters["detections.unequal"] += 1
                log.error("device and host disagree", device=device.id, row=row, margin=margin_q8)
                return
