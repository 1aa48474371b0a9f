"""What the kit hears of one device, and what it says to it."""

import asyncio
import contextlib
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiomqtt
from moteye_protocol import models, wire
from moteye_protocol.codec import WireError, pack, unpack
from moteye_protocol.signing import sign_command

from moteye.link.cancellable import CancellableClient
from moteye.link.connection import BrokerUrl

Fields = dict[str, Any]
_LIKELY_MS = 24 * 3600 * 1000  # a device clock further off than a day is not believed
_RETRY_S = 0.05
_RETAINED_GRACE_S = 0.1


class Failed(Exception):
    """The device broke the rule; the text says how."""


class NotTried(Exception):
    """The rule could not be tried here; the text says why."""


@dataclass(frozen=True)
class Heard:
    """One message as it came. `fields` is None where the payload is not a map of the wire."""

    at_s: float
    topic: str
    name: str | None
    payload: bytes
    qos: int
    retain: bool
    fields: Fields | None
    problem: str = ""


def _heard(message: aiomqtt.Message, root: str) -> Heard:
    topic = str(message.topic)
    payload = message.payload if isinstance(message.payload, bytes) else b""
    paths = {path: name for name, (path, _, _, _) in wire.TOPICS.items()}
    fields: Fields | None = None
    problem = ""
    try:
        value = unpack(payload)
        if isinstance(value, dict):
            fields = value
        else:
            problem = "not a map"
    except WireError as error:
        problem = str(error)
    name = paths.get(topic.removeprefix(root))
    qos, retain = int(message.qos), bool(message.retain)
    return Heard(time.monotonic(), topic, name, payload, qos, retain, fields, problem)


@dataclass
class Bench:
    """One device on a broker.

    `patience_s`: how long an answer may take; `watch_s`: how long a look is; `rest_s`: how long
    one connection, or one repair of presence, keeps its distance from the next. `key` signs
    commands, where the device asks for that. `begun` is the transfer that was announced last.
    """

    url: BrokerUrl
    device: str
    patience_s: float = 10.0
    watch_s: float = 3.0
    rest_s: float = 1.2
    key: bytes | None = field(default=None, repr=False)
    heard: list[Heard] = field(default_factory=list)
    begun: bytes | None = None
    _asked: int = 0
    _issued_ms: int = 0

    async def __aenter__(self) -> Self:
        self._token = secrets.token_hex(3)
        self._arrived = asyncio.Event()
        self._connected = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self._task = asyncio.create_task(self._listen(), name="bench")
        async with asyncio.timeout(self.patience_s):
            await self._connected.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await self._task

    # --- hearing

    @property
    def root(self) -> str:
        """What all topics of the device begin with."""
        return f"{wire.TOPIC_ROOT}/{self.device}/"

    @property
    def mark(self) -> int:
        """The place of the next message in `heard`."""
        return len(self.heard)

    def live(self, name: str | None = None, since: int = 0) -> list[Heard]:
        """Messages of the device as it said them; not those that were retained."""
        return [
            item
            for item in self.heard[since:]
            if not item.retain
            and item.payload
            and (item.name == name if name else self._is_of_device(item))
        ]

    def fields(self, name: str, since: int = 0) -> list[Fields]:
        """The maps of the live messages of one kind."""
        return [item.fields for item in self.live(name, since) if item.fields is not None]

    def newest(self, name: str) -> Fields | None:
        """The newest map of a kind, live or retained."""
        for item in reversed(self.heard):
            if item.name == name and item.fields is not None:
                return item.fields
        return None

    @property
    def birth(self) -> Fields:
        """Raises Failed where the device has not said who it is."""
        birth = self.newest("birth")
        if birth is None:
            raise Failed("no birth was heard")
        return birth

    @property
    def session(self) -> int:
        """The session of the newest birth."""
        session = self.birth.get("s")
        return session if isinstance(session, int) else 0

    @property
    def checks_keys(self) -> bool:
        """Whether the device says that it obeys signed commands only."""
        keys = (self.newest("birth") or {}).get("keys")
        return isinstance(keys, int) and keys > 0

    @property
    def signing_key(self) -> bytes | None:
        """What commands are signed with; None for a device without keys."""
        return self.key if self.checks_keys else None

    def _is_of_device(self, item: Heard) -> bool:
        return item.name is None or wire.TOPICS[item.name][1] == "device"

    async def until(
        self, condition: Callable[[], Any], what: str, patience_s: float | None = None
    ) -> Any:
        """What `condition()` gives when it is true. Raises Failed(`no …`) after the patience."""
        patience_s = patience_s or self.patience_s
        deadline = time.monotonic() + patience_s
        while not (found := condition()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed(f"no {what} within {patience_s:g} s")
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.2)):
                    await self._arrived.wait()
        return found

    async def next(
        self,
        name: str,
        since: int,
        condition: Callable[[Fields], bool] = lambda fields: True,
        what: str = "",
    ) -> Fields:
        """The first live message of a kind, from `since` on, that meets the condition."""

        def found() -> Fields | None:
            return next((each for each in self.fields(name, since) if condition(each)), None)

        result: Fields = await self.until(found, what or f"message on {wire.TOPICS[name][0]}")
        return result

    async def retained(self) -> dict[str, Heard]:
        """What a new subscriber gets from the broker, by topic."""
        found: dict[str, Heard] = {}
        end = f"{wire.TOPIC_ROOT}/_conformance/{self._token}"
        async with asyncio.timeout(self.patience_s), self._new_client() as client:
            await client.subscribe([(f"{self.root}#", 1), (end, 1)])
            await client.publish(end, b"", 1)
            async for message in client.messages:
                if str(message.topic) == end:
                    break
                if message.retain:
                    found[str(message.topic)] = _heard(message, self.root)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETAINED_GRACE_S):
                    async for message in client.messages:
                        if message.retain:
                            found[str(message.topic)] = _heard(message, self.root)
        return found

    async def broker_keeps_qos(self) -> bool:
        """Whether messages reach a subscriber of QoS 2 with the QoS they were said with."""
        topic = f"{wire.TOPIC_ROOT}/_conformance/{self._token}/qos"
        async with asyncio.timeout(self.patience_s), self._new_client() as client:
            await client.subscribe(topic, 2)
            heard = aiter(client.messages)
            for qos in (0, 1):
                await client.publish(topic, b"", qos)
                if int((await anext(heard)).qos) != qos:
                    return False
        return True

    async def retained_status(self, states: tuple[str, ...]) -> Fields:
        """Subscribe anew until the retained status is one of `states`."""
        topic = models.topic(self.device, "status")
        deadline = time.monotonic() + self.patience_s
        found: Fields | None = None
        while time.monotonic() < deadline:
            item = (await self.retained()).get(topic)
            found = item.fields if item else None
            if found is not None and found.get("state") in states:
                return found
            await asyncio.sleep(_RETRY_S)
        state = found.get("state") if found else "nothing"
        raise Failed(f"a new subscriber reads {state} on status, not {' or '.join(states)}")

    # --- saying

    def now_ms(self) -> int:
        """Unix time by the device's clock, where it has told a likely one; else by this one's."""
        ours = int(time.time() * 1000)
        for item in reversed(self.heard):
            told = item.fields.get("t") if item.fields and not item.retain else None
            if isinstance(told, int) and not isinstance(told, bool):
                theirs = told + int((time.monotonic() - item.at_s) * 1000)
                return theirs if abs(theirs - ours) < _LIKELY_MS else ours
        return ours

    def command(self, op: str, args: Fields | None = None, **changes: Any) -> Fields:
        """A command with a new `tid`, not signed yet; a change of None removes the key."""
        self._asked += 1
        session, issued = None, self.now_ms()
        if self.key is not None and self.checks_keys:
            # Signed commands name their session, and none is older than the one before.
            session = self.session
            issued = self._issued_ms = max(issued, self._issued_ms + 1)
        command: Fields = {
            "v": wire.VERSION,
            "tid": f"{self._token}-{self._asked}",
            "s": session,
            "issued": issued,
            "ttl": wire.COMMAND_TTL_MS,
            "op": op,
            "args": args or {},
        }
        for key, value in changes.items():
            if value is None:
                command.pop(key)
            else:
                command[key] = value
        return command

    async def send(self, name: str, payload: bytes | Fields, *, retain: bool = False) -> None:
        """Publish on a topic of the device; signs a command that is a map, where that is due."""
        data = pack(payload) if isinstance(payload, dict) else payload
        if name == "command" and isinstance(payload, dict) and self.signing_key is not None:
            data = sign_command(self.signing_key, data)
        async with asyncio.timeout(self.patience_s):
            await self._connected.wait()
            assert self._client is not None
            await self._client.publish(models.topic(self.device, name), data, 1, retain)

    async def ask(self, op: str, args: Fields | None = None, **changes: Any) -> Fields:
        """Send a command; returns the reply. Raises Failed where none comes."""
        return await self.answer(self.command(op, args, **changes))

    async def answer(self, command: Fields) -> Fields:
        """Send this command; returns the first reply from now on that carries its `tid`."""
        mark = self.mark
        await self.send("command", command)
        tid = command["tid"]
        return await self.next(
            "reply", mark, lambda reply: reply.get("tid") == tid, f"answer to {command['op']}"
        )

    async def expect(
        self, code: str, op: str, args: Fields | None = None, **changes: Any
    ) -> Fields:
        """Ask, and raise Failed where the answer has another code."""
        reply = await self.ask(op, args, **changes)
        if reply.get("code") != code:
            raise Failed(f"{op} was answered {reply.get('code')!r} instead of {code!r}")
        return reply

    async def rest(self) -> None:
        """Wait until the last word on `status` is `rest_s` old."""
        told_s = max((item.at_s for item in self.live("status")), default=0.0)
        await asyncio.sleep(told_s + self.rest_s - time.monotonic())

    async def settle(self) -> None:
        """Everything that was sent before has been dealt with when this returns."""
        await self.ask("ping")

    async def unbroken(self, since: int) -> None:
        """Raises Failed where the device does not answer, or was away for a moment."""
        await self.settle()
        told = [str(fields.get("state")) for fields in self.fields("status", since)]
        if told:
            raise Failed(f"the connection did not stay: status said {', '.join(told)}")

    # --- the connection

    def _new_client(self) -> aiomqtt.Client:
        return CancellableClient(
            self.url.host,
            self.url.port,
            username=self.url.user,
            password=self.url.password,
            tls_context=ssl.create_default_context() if self.url.tls else None,
            timeout=self.patience_s,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    async def _listen(self) -> None:
        while True:
            try:
                async with self._new_client() as client:
                    await client.subscribe(f"{self.root}#", 2)
                    self._client = client
                    self._connected.set()
                    async for message in client.messages:
                        self.heard.append(_heard(message, self.root))
                        self._arrived.set()
            except aiomqtt.MqttError:
                pass
            finally:
                self._connected.clear()
            await asyncio.sleep(_RETRY_S)
