"""The broker: who is let in, and whether it keeps what MQTT promises."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import re
import secrets
from collections.abc import AsyncIterator

import aiomqtt
from moteye_protocol import wire

from moteye.doctor.finding import Finding, fail, ok, warn
from moteye.link.connection import BrokerUrl, why
from moteye.link.tls import NO_FILES

ANSWER_S = 3.0
OLDEST_MOSQUITTO = (2, 0)  # before it, everybody was let in unless told otherwise
CLOSE_IT = "set allow_anonymous false and an ACL: docs/security.md has both"


def client_id(purpose: str) -> str:
    """A client id that nobody else has."""
    return f"moteye-doctor-{purpose}-{secrets.token_hex(4)}"


async def refusal(url: BrokerUrl, purpose: str) -> str | None:
    """Why the broker does not let `url` in; None where it does."""
    try:
        async with url.client(client_id(purpose)):
            return None
    except (aiomqtt.MqttError, OSError) as error:
        return await why(url, error)


def is_near(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def embedded(host: str) -> Finding:
    """The embedded broker knows no users."""
    if is_near(host):
        return ok("the embedded broker lets in everybody on this machine, and nobody else")
    return fail(
        f"the embedded broker lets in everybody who can reach {host}",
        "listen on 127.0.0.1, or use a mosquitto with an ACL: docs/security.md",
    )


def transport(url: BrokerUrl) -> Finding:
    """Whether a password, or pictures, cross a network in plain text."""
    if url.tls:
        believed = url.files.ca or "the authorities of this machine"
        return ok(f"TLS, the broker's certificate is checked against {believed}")
    if is_near(url.host):
        return ok("plain text, which does not leave this machine")
    return fail(
        f"plain text to {url.host}: whoever is on the network reads the password",
        "give the broker a certificate and use mqtts:// with --tls-ca",
    )


async def strangers(url: BrokerUrl) -> AsyncIterator[Finding]:
    """Those without a password, a wrong one, or a certificate must not come in."""
    nobody = dataclasses.replace(url, user=None, password=None)
    if url.user is None and url.files.cert is None:
        yield fail("everybody is let in, without user and password", CLOSE_IT)
        return
    if url.user is not None:
        if await refusal(nobody, "nobody") is None:
            yield fail("clients without user and password are let in", CLOSE_IT)
        else:
            yield ok("clients without user and password are refused")
        impostor = dataclasses.replace(url, password=secrets.token_hex(8))
        if await refusal(impostor, "impostor") is None:
            yield fail("a wrong password is accepted", "give the broker a password file")
        else:
            yield ok("a wrong password is refused")
    if url.files.cert is not None:
        bare = dataclasses.replace(url, files=dataclasses.replace(NO_FILES, ca=url.files.ca))
        if await refusal(bare, "bare") is None:
            yield warn(
                "clients without a certificate are let in, too", "set require_certificate true"
            )
        else:
            yield ok("clients without a certificate are refused")


async def heard(client: aiomqtt.Client, topic: str) -> aiomqtt.Message | None:
    """The next message on `topic`; None where it does not come in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            async for message in client.messages:
                if str(message.topic) == topic:
                    return message
    return None


async def version(client: aiomqtt.Client) -> Finding:
    """The broker's own word on its version."""
    topic = "$SYS/broker/version"
    await client.subscribe(topic)
    message = await heard(client, topic)
    if message is None or not isinstance(message.payload, bytes):
        return ok("the broker does not say its version")
    said = message.payload.decode(errors="replace")
    found = re.search(r"mosquitto version (\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < OLDEST_MOSQUITTO:
        return warn(f"{said} is old", "update it to 2.0 or later")
    return ok(said)


async def promises(url: BrokerUrl, client: aiomqtt.Client) -> AsyncIterator[Finding]:
    """Large payloads, retained messages, sessions."""
    topic = f"{wire.TOPIC_ROOT}/_agent/{client_id('topic')}"
    await client.subscribe(topic, 1)
    payload = secrets.token_bytes(wire.MAX_PAYLOAD_BYTES)
    await client.publish(topic, payload, 1, retain=True)
    message = await heard(client, topic)
    if message is None or message.payload != payload:
        yield fail(
            f"a message of {len(payload)} bytes to {topic} does not come back",
            f"let this user read and write {wire.TOPIC_ROOT}/#, and messages be that large",
        )
        return
    yield ok(f"messages of {len(payload)} bytes come back")
    try:
        async with url.client(client_id("late")) as late:
            await late.subscribe(topic, 1)
            kept = await heard(late, topic)
    finally:
        await client.publish(topic, b"", 1, retain=True)
    if kept is None:
        yield fail("retained messages are not kept", "switch retained messages on")
    else:
        yield ok("retained messages are kept")
    yield await _session(url, client, topic)


async def _session(url: BrokerUrl, client: aiomqtt.Client, topic: str) -> Finding:
    name = client_id("session")
    async with url.client(name, clean_session=False) as away:
        await away.subscribe(topic, 1)
    await client.publish(topic, b"while away", 1)
    async with url.client(name, clean_session=False) as back:
        message = await heard(back, topic)
    async with url.client(name, clean_session=True):
        pass  # the broker may forget it
    if message is None:
        return warn(
            "what comes while the agent is away is lost",
            "let clients keep their sessions (mosquitto: remove max_queued_messages 0)",
        )
    return ok("what comes while the agent is away is kept for it")
