"""The devices on the broker: who they are, what they are asked, what they answer."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from moteye_protocol import models, wire
from moteye_protocol.codec import pack
from moteye_protocol.signing import sign_command

from moteye.clock import EventClock
from moteye.core.presence import Presence
from moteye.errors import DeviceRefused, DeviceTimeout, LinkError
from moteye.link.pictures import PictureAssembly

log = structlog.get_logger("moteye.devices")
REPLY_TIMEOUT_S = 5.0
PICTURE_TIMEOUT_S = 10.0
TWIN_BACKS = 3  # older sessions that speak after newer ones, before two devices are suspected
MAX_DEVICES = 16_384
_PATHS = {path for path, _, _, _ in wire.TOPICS.values()}
OWN_RESETS = {"watchdog": "its watchdog", "handshakes": "itself, as TLS failed again and again"}
RESYNC_MS = 10_000  # a device is asked for its state at most so often
Publish = Callable[[str, bytes], Awaitable[None]]
KeyOf = Callable[[str], bytes]
Picture = npt.NDArray[np.uint8]


@dataclass
class Device:
    """What is known of one device. `set_hash` is the prototype set it says it uses.

    `lacks_state`: messages of it were lost, or its birth was never heard.
    """

    id: str
    presence: Presence = field(default_factory=Presence)
    birth: models.Birth | None = None
    set_state: models.SetState | None = None
    lacks_state: bool = False
    asked_ms: int | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    replies: dict[str, "asyncio.Future[models.Reply]"] = field(default_factory=dict)
    pictures: dict[int, tuple[PictureAssembly, "asyncio.Future[Picture]"]] = field(
        default_factory=dict
    )

    @property
    def online(self) -> bool:
        """Whether it is there and has said who it is in this session."""
        born = self.birth is not None and self.birth.s == self.presence.session
        return self.presence.state == "online" and born

    @property
    def set_hash(self) -> bytes | None:
        """The prototype set in use, by its own word."""
        if self.set_state is not None and self.set_state.s == self.presence.session:
            return self.set_state.set
        return self.birth.set if self.birth else None


class Devices:
    """All devices, fed with every message of theirs.

    `counters` count what was refused, by kind and reason, and gaps. `key_of` gives the signing key
    of a device id, where the fleet has keys; devices that check are sent signed commands. A device
    whose messages were lost, or whose birth is not known, is asked to `report` where `resync`
    (device id) says so.
    """

    def __init__(
        self,
        publish: Publish,
        key_of: KeyOf | None = None,
        *,
        clock: EventClock | None = None,
        resync: Callable[[str], bool] = lambda device: False,
    ) -> None:
        self._publish = publish
        self._key_of = key_of
        self.clock = clock or EventClock()
        self._resync = resync
        self._asking: set[asyncio.Task[None]] = set()
        self._earlier: dict[str, tuple[int, int]] = {}
        self.all: dict[str, Device] = {}
        self.counters: Counter[str] = Counter()
        self.changed = asyncio.Event()

    def receive(
        self, topic: str, payload: bytes, retain: bool
    ) -> tuple[Device, models.Message] | None:
        """Take one message.

        Returns it with its device if it is new; None if it was refused, a twin or stale.

        Never raises, whatever the bytes: what is refused is counted and logged once a kind.
        """
        if not payload or topic.startswith(f"{wire.TOPIC_ROOT}/_"):
            return None  # a retained message was cleared, or an agent speaks
        try:
            device_id, name = models.split_topic(topic)
            message = models.parse(name, payload)
        except models.MessageError as error:
            self._refuse(topic, error.code, str(error))
            return None
        if device_id not in self.all and len(self.all) >= MAX_DEVICES:
            self._refuse(topic, "too_many", f"more than {MAX_DEVICES} devices")
            return None
        device = self.all.setdefault(device_id, Device(device_id))
        if not self._is_news(device, message, retain):
            self.counters[f"{name}.twin_or_stale"] += 1
            return None
        self._take(device, message)
        if not retain:
            self._want_state(device, message)
        return device, message

    def resume(self, device_id: str, session: int, offset_ms: int) -> None:
        """What an earlier run knew of a device's clock in `session`: for what waited meanwhile."""
        self._earlier[device_id] = (session, offset_ms)

    def key(self, device: Device) -> bytes | None:
        """The key that this device checks with; None where it, or the fleet, has none."""
        # Who has not said is asked with a signature, too: others ignore it.
        checks = device.birth is None or device.birth.keys > 0
        return self._key_of(device.id) if self._key_of is not None and checks else None

    async def request(self, device: Device, operation: str, **args: Any) -> models.Reply:
        """Send a command and wait for its answer.

        Raises DeviceRefused for an answer other than ok, DeviceTimeout for none, LinkError
        without a broker.
        """
        reply = await self._ask(device, operation, args)
        if reply.code == "expired":  # its clock was set meanwhile; the answer told the new time
            reply = await self._ask(device, operation, args)
        if not reply.ok:
            raise DeviceRefused(device.id, operation, reply.code)
        return reply

    async def _ask(self, device: Device, operation: str, args: dict[str, Any]) -> models.Reply:
        tid = secrets.token_urlsafe(6)
        # By the device's own clock, so that no skew makes a command old (T20).
        issued = device.presence.device_time_ms(self.clock.now_ms())
        command = models.Command(
            tid=tid,
            s=device.presence.session if device.presence.session >= 0 else None,
            issued=max(0, self.clock.unix_ms() if issued is None else issued),
            op=operation,
            args=args,
        )
        answer: asyncio.Future[models.Reply] = asyncio.get_running_loop().create_future()
        device.replies[tid] = answer
        try:
            payload = pack(command.model_dump(exclude={"ttl"}))  # the default
            key = self.key(device)
            if key is not None:
                payload = sign_command(key, payload)
            await self._publish(models.topic(device.id, "command"), payload)
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise DeviceTimeout(
                f"{device.id} did not answer {operation} within {REPLY_TIMEOUT_S:.0f} s"
            ) from error
        finally:
            del device.replies[tid]

    async def picture(self, device: Device, frame: int) -> Picture:
        """The picture of one frame as uint8[h, w, 3]; asks again once if chunks were lost.

        Raises DeviceRefused (`forbidden` where the owner keeps frames, `gone` when too late),
        DeviceTimeout.
        """
        for attempt in range(2):
            done: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
            device.pictures[frame] = (PictureAssembly(frame), done)
            try:
                await self.request(device, "frame.get", frame=frame)
                async with asyncio.timeout(PICTURE_TIMEOUT_S):
                    return await done
            except TimeoutError:
                log.warning("picture incomplete", device=device.id, frame=frame, attempt=attempt)
            finally:
                device.pictures.pop(frame, None)
        raise DeviceTimeout(f"{device.id} did not send all of picture {frame}")

    def _is_news(self, device: Device, message: models.Message, retain: bool) -> bool:
        if isinstance(message, models.Status):
            before = device.presence.session
            if message.s < before:
                return False
            device.presence.status(message.s, message.state)
            return True
        if isinstance(message, models.DeviceMessage):
            return self._is_new(device, message, live=not retain)
        return False  # a command or chunk: ours, or another host's

    def _is_new(self, device: Device, message: models.DeviceMessage, *, live: bool) -> bool:
        presence = device.presence
        session, gaps, backs = presence.session, presence.gaps, presence.backs
        is_birth = isinstance(message, models.Birth)
        is_new = presence.accept(message.s, message.n, live=live, is_birth=is_birth)
        if backs < TWIN_BACKS <= presence.backs:
            log.error(
                "two devices use one id: give each its own `id` in its configuration",
                device=device.id,
                sessions=sorted((session, message.s)),
            )
        if not is_new:
            return False
        if presence.session < session and presence.backs < TWIN_BACKS:
            log.warning("session counter went back", device=device.id, session=message.s)
        if presence.gaps > gaps:
            self.counters["gap"] += 1
            device.lacks_state = True
        if live:
            earlier = self._earlier.pop(device.id, None)
            if earlier is not None and earlier[0] == message.s:
                presence.resume(earlier[1], self.clock.now_ms())
            presence.heard(message.up, message.t, self.clock.now_ms())
        return True

    def _want_state(self, device: Device, message: models.Message) -> None:
        """Ask a device to report where that is due."""
        if isinstance(message, models.Birth):
            device.lacks_state = False
        elif not isinstance(message, models.Status) and not device.lacks_state:
            device.lacks_state = device.birth is None or device.birth.s != device.presence.session
        now_ms = self.clock.now_ms()
        asked_lately = device.asked_ms is not None and now_ms - device.asked_ms < RESYNC_MS
        if not device.lacks_state or asked_lately or not self._resync(device.id):
            return
        device.asked_ms = now_ms
        self._ask_soon(device, "report")

    def describe_again(self, device_id: str) -> None:
        """Have a device say its next frame in words, if it is there and can."""
        device = self.all.get(device_id)
        if device is not None and device.online and "describe" in _operations(device):
            self._ask_soon(device, "describe")

    def _ask_soon(self, device: Device, operation: str) -> None:
        task = asyncio.get_running_loop().create_task(self._try(device, operation))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _try(self, device: Device, operation: str) -> None:
        try:
            await self.request(device, operation)
        except (DeviceTimeout, LinkError) as error:
            busy = isinstance(error, DeviceRefused) and error.code == "busy"  # asked just now
            if not busy:
                log.warning(f"{operation} not answered", device=device.id, reason=str(error))

    def _take(self, device: Device, message: models.Message) -> None:
        match message:
            case models.Birth():
                _tell_reset(device, message)
                device.birth = message
            case models.SetState():
                device.set_state = message
            case models.Reply():
                waiting = device.replies.get(message.tid)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case models.FrameChunk():
                self._take_chunk(device, message)
        if isinstance(message, (models.Birth, models.SetState, models.Status)):
            device.changed.set()
            self.changed.set()

    @staticmethod
    def _take_chunk(device: Device, chunk: models.FrameChunk) -> None:
        entry = device.pictures.get(chunk.frame)
        if entry is None:
            return
        assembly, done = entry
        picture = assembly.add(chunk)
        if picture is not None and not done.done():
            done.set_result(picture)

    def _refuse(self, topic: str, code: str, reason: str) -> None:
        path = topic.removeprefix(wire.TOPIC_ROOT + "/").partition("/")[2]
        kind = path if path in _PATHS else "unknown"
        self.counters[f"{kind}.{code}"] += 1
        if self.counters[f"{kind}.{code}"] == 1:
            log.warning("message refused", topic=topic, reason=reason)


def _operations(device: Device) -> list[str]:
    return device.birth.ops if device.birth is not None else []


def _tell_reset(device: Device, birth: models.Birth) -> None:
    """Say once a session that a device was reset for a reason that somebody should look into."""
    if birth.reset in OWN_RESETS and (device.birth is None or device.birth.s != birth.s):
        log.warning(
            f"device was reset by {OWN_RESETS[birth.reset]}",
            device=device.id,
            session=birth.s,
            stage=birth.stage or "?",
        )
