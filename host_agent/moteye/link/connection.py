"""One connection to the broker that comes back by itself.

A new client each time, subscribed again each time.
"""

import asyncio
import json
import random
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import aiomqtt
import structlog
from paho.mqtt.enums import MessageType

from moteye.errors import ConfigError, LinkError
from moteye.link.acks import AckQueue
from moteye.link.cancellable import CancellableClient
from moteye.link.incoming import Incoming, ReadAhead
from moteye.link.outgoing import write_soon
from moteye.link.tls import NO_FILES, TlsFiles, probe, tls_context

log = structlog.get_logger("moteye.link")
PUBACK = int(MessageType.PUBACK)
BACKOFF_CAP_S = 30.0
BACKOFF_S = 0.5
HEALTHY_S = 60.0
KEEPALIVE_S = 15
SHORT_SESSION_S = 10.0
SHORT_SESSIONS = 3
TWIN_WAIT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
PUBLISH_TIMEOUT_S = 10.0
INCOMING_LIMIT = 10_000
MOST_PENDING = 200  # publishes that wait for the broker; the outbox has 64 jobs there at most
Handler = Callable[[str, bytes, bool], Awaitable[None]]
Ack = Callable[[], None]
AckingHandler = Callable[[str, bytes, bool, Ack], Awaitable[None]]


@dataclass(frozen=True)
class BrokerUrl:
    """`mqtt[s]://[user[:password]@]host[:port]`; the repr never shows the password."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = None
    files: TlsFiles = NO_FILES

    def __repr__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs; None for `mqtt://`. Raises ConfigError for files that do not do."""
        return tls_context(self.files) if self.tls else None

    def client(self, client_id: str, **options: Any) -> aiomqtt.Client:
        """A client that is not connected yet. Raises ConfigError for files that do not do."""
        return CancellableClient(
            self.host,
            self.port,
            username=self.user,
            password=self.password,
            identifier=client_id,
            tls_context=self.context(),
            timeout=PUBLISH_TIMEOUT_S,
            **options,
        )

    @classmethod
    def parse(cls, url: str, files: TlsFiles = NO_FILES) -> "BrokerUrl":
        """Raises ConfigError for anything that is not such a URL, or files without TLS."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == -1:
            raise ConfigError(
                "the broker's URL should read mqtt://host:1883 or mqtts://user:password@host:8883"
            )
        tls = parts.scheme == "mqtts"
        if not tls and files != NO_FILES:
            raise ConfigError("tls_ca, tls_cert and tls_key expect a broker mqtts://…")
        return cls(
            parts.hostname,
            port or (8883 if tls else 1883),
            tls,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            files,
        )


async def why(url: BrokerUrl, error: Exception) -> str:
    """Why a broker could not be connected to, in words; asks TLS again, which `error` hides."""
    context = url.context()
    refused = isinstance(error, aiomqtt.exceptions.MqttConnectError)  # by MQTT, so TLS stood
    failed = None
    if context is not None and not refused:
        failed = await probe(url.host, url.port, context, own=url.files.cert is not None)
    return failed or str(error)


class Connection:
    """Receive and publish over a broker that may go away and come back.

    `on_message(topic, payload, retain)` is awaited for each message in order; `on_connect()`
    after every successful subscription, before the first message. Retained JSON on
    `status_topic`, with `state` online, offline or stopped and the client id, is kept true. A line
    that swallows everything is left within `keepalive_s` (T13).

    With `on_message_to_ack` in place of `on_message` a QoS 1 message is acknowledged only when the
    handler says so, by calling the fourth argument, now or later. `dropped` counts messages of
    QoS 0 that came faster than they were handled. `keep_session` makes the broker
    hold what comes meanwhile.
    """

    def __init__(
        self,
        url: BrokerUrl,
        *,
        client_id: str,
        subscriptions: list[tuple[str, int]],
        on_message: Handler | None = None,
        on_message_to_ack: AckingHandler | None = None,
        on_connect: Callable[[], Awaitable[None]] | None = None,
        status_topic: str | None = None,
        keep_session: bool = False,
        keepalive_s: int = KEEPALIVE_S,
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_message_to_ack = on_message_to_ack
        self._keep_session = keep_session
        self._on_connect = on_connect
        self._status_topic = status_topic
        # The library asks after one such time without traffic and gives up after another.
        self._keepalive_s = max(1, keepalive_s // 2)
        self._short_sessions = 0
        self._extra: set[str] = set()
        self._client: aiomqtt.Client | None = None
        self.connected = asyncio.Event()
        self.connects = 0
        self.dropped = 0

    async def run(self) -> None:
        """Stay connected until cancelled; publishes a clean `stopped` then.

        Raises ConfigError for TLS files that cannot be used.
        """
        attempt = 0
        while True:
            began, connects = time.monotonic(), self.connects
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError, LinkError) as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # The goodbye failed; the wish to end must not be lost with it.
                    raise asyncio.CancelledError from error
                never = self.connects == connects
                reason = await why(self._url, error) if never else str(error)
                log.warning("broker lost", broker=repr(self._url), reason=reason)
            finally:
                self.connected.clear()
                self._client = None
            lived_s = time.monotonic() - began
            attempt = 0 if lived_s > HEALTHY_S else attempt + 1
            # Full jitter, so that a fleet of clients does not come back in step.
            wait_s = random.uniform(0.1, min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt))
            twin = self._suspects_twin(lived_s, accepted=self.connects > connects)
            await asyncio.sleep(wait_s + (TWIN_WAIT_S if twin else 0))

    def _suspects_twin(self, lived_s: float, *, accepted: bool) -> bool:
        """Two clients of one id throw each other out for ever, as both are accepted (T04).

        A broker that does not accept is away, and no twin is to blame.
        """
        if lived_s > HEALTHY_S or not accepted:
            self._short_sessions = 0
        elif lived_s < SHORT_SESSION_S:
            self._short_sessions += 1
            if self._short_sessions == SHORT_SESSIONS:
                log.error(
                    "thrown out again and again: does another agent use this client id?",
                    client_id=self._client_id,
                    hint="give each its own `client_id`",
                )
        return self._short_sessions >= SHORT_SESSIONS

    async def wait(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Return once it is connected. Raises LinkError where that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.connected.wait()
        except TimeoutError as error:
            raise LinkError(
                f"no broker at {self._url!r} lets us in within {timeout_s:g} s: "
                "is it running, and is the address right?"
            ) from error

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Publish, waiting for a connection if there is none.

        Raises LinkError when that takes longer than PUBLISH_TIMEOUT_S.
        """
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self.connected.wait()
                client = self._client
                if client is None:
                    raise LinkError(f"{topic}: the connection to {self._url!r} closed")
                await client.publish(topic, payload, qos=qos, retain=retain)
        except TimeoutError as error:
            raise LinkError(f"{topic}: no connection to {self._url!r}") from error
        except (aiomqtt.MqttError, ValueError) as error:
            raise LinkError(f"{topic}: {error}") from error

    async def subscribe(self, topics: set[str]) -> None:
        """Subscribe at QoS 1 to exactly these topics beside those of the beginning.

        A broker that is away hears of it at the next connect.
        """
        gone, new = sorted(self._extra - topics), sorted(topics - self._extra)
        self._extra = set(topics)
        client = self._client
        if client is None:
            return
        try:
            if gone:
                await client.unsubscribe(gone)
            if new:
                await client.subscribe([(topic, 1) for topic in new])
        except aiomqtt.MqttError as error:
            log.warning("not subscribed until the next connect", reason=str(error))

    async def say_online(self) -> None:
        """Say the retained `online` again. Raises LinkError."""
        if self._status_topic is not None:
            await self.publish(self._status_topic, self._said("online"), retain=True)

    def _said(self, state: str) -> bytes:
        return json.dumps({"state": state, "client": self._client_id}).encode()

    async def _session(self) -> None:
        status = self._status_topic
        will = aiomqtt.Will(status, self._said("offline"), 1, True) if status else None
        incoming = Incoming(INCOMING_LIMIT, self._count_drop)
        client = self._url.client(
            self._client_id,
            keepalive=self._keepalive_s,
            will=will,
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: incoming),
            clean_session=not self._keep_session,
        )
        client.pending_calls_threshold = MOST_PENDING  # below it the library's warning is no news
        # aiomqtt acknowledges as soon as a message is queued; paho, below it, can wait. Said before
        # connecting, since what the broker held comes right behind the CONNACK.
        paho = client._client
        paho.manual_ack_set(self._on_message_to_ack is not None)
        acks = AckQueue(
            # One packet a message, all of them in one write.
            lambda ids: paho._packet_queue(PUBACK, b"".join(map(_puback, ids)), ids[-1], 1),
            asyncio.get_running_loop().call_soon,
        )
        async with client:
            paho._sock = cast("Any", ReadAhead(paho._sock))
            write_soon(paho, asyncio.get_running_loop())
            wanted = [*self._subscriptions, *((topic, 1) for topic in sorted(self._extra))]
            if wanted:
                await client.subscribe(wanted)
            self._client = client
            self.connects += 1
            self.connected.set()
            if status:
                await client.publish(status, self._said("online"), 1, retain=True)
            log.info("connected", broker=repr(self._url))
            try:
                if self._on_connect is not None:
                    await self._on_connect()
                # The library's iterator makes a task for each message.
                client._disconnected.add_done_callback(lambda _: incoming.put_nowait(None))
                while (message := await incoming.get()) is not None:
                    await self._handle(message, acks)
                raise aiomqtt.MqttError("the broker is gone") from client._disconnected.exception()
            except asyncio.CancelledError:
                if status:
                    await client.publish(status, self._said("stopped"), 1, retain=True)
                raise
            finally:
                acks.close()

    async def _handle(self, message: aiomqtt.Message, acks: AckQueue) -> None:
        payload = message.payload if isinstance(message.payload, bytes) else b""
        topic, retain = message.topic.value, bool(message.retain)
        if self._on_message_to_ack is not None:
            ack = acks.expect(message.mid) if message.qos == 1 else _nothing
            await self._on_message_to_ack(topic, payload, retain, ack)
        elif self._on_message is not None:
            await self._on_message(topic, payload, retain)

    def _count_drop(self) -> None:
        self.dropped += 1
        if self.dropped == 1:
            log.warning("too much at once: messages of QoS 0 are dropped")


def _puback(message_id: int) -> bytes:
    """MQTT 3.1.1, 3.4."""
    return struct.pack(">BBH", PUBACK, 2, message_id)


def _nothing() -> None:
    """A QoS 0 message is not acknowledged."""
