"""What one device may do: say and hear under its own id, and nothing else (T16).

A broker may accept a forbidden subscription and filter it in silence, so only what really arrives
counts. Each try ends with something that is allowed: when that has come, what was forbidden would
have come before it.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from moteye_protocol import models, wire

from moteye.doctor.broker import ANSWER_S, CLOSE_IT, refusal, strangers, transport
from moteye.doctor.finding import Finding, fail, ok
from moteye.errors import ConfigError
from moteye.keys import FleetKeys
from moteye.link.connection import BrokerUrl
from moteye.link.tls import TlsFiles

DISCOVERY = "homeassistant"


@dataclass(frozen=True)
class DeviceConfig:
    """What the device's own configuration file says."""

    path: Path
    id: str
    url: BrokerUrl
    keys: list[str]

    @classmethod
    def read(cls, path: Path) -> "DeviceConfig":
        """Raises ConfigError that names the file."""
        try:
            root = json.loads(path.read_text())
            broker = root["broker"]
            files = TlsFiles(*(_beside(path, broker.get(name)) for name in ("ca", "cert", "key")))
            url = BrokerUrl(
                broker.get("server_name") or broker["host"],
                int(broker.get("port", 1883)),
                bool(broker.get("tls", False)),
                broker.get("user"),
                broker.get("password"),
                files,
            )
            return cls(path, str(root["id"]), url, list(root.get("keys", [])))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ConfigError(f"{path}: not a device's configuration (JSON)") from None


def _beside(path: Path, name: str | None) -> Path | None:
    return path.parent / name if name else None


async def device(
    config: DeviceConfig, watcher: aiomqtt.Client, keys: FleetKeys | None, *, online: bool
) -> AsyncIterator[Finding]:
    """All checks in the name of one device; `watcher` is connected with the agent's rights."""
    name = f"device {config.id}"
    if config.path.stat().st_mode & 0o077 and (config.keys or config.url.password):
        todo = f"run `chmod 600 {config.path}`"
        yield fail(f"{name}: others may read {config.path}, which holds secrets", todo)
    if keys is not None:
        ours = {key.hex() for key in keys.device_keys(config.id)}
        if ours & set(config.keys):
            yield ok(f"{name}: has a key of this fleet")
        else:
            todo = f"run `moteye keys enroll {config.id}` and put that into its configuration"
            yield fail(f"{name}: has no key of this fleet", todo)
    yield transport(config.url)
    async for finding in strangers(config.url):
        yield finding
    if online:
        yield fail(
            f"{name}: is online, and to connect in its name would throw it out",
            "stop it for this check, or name the configuration of a spare device",
        )
        return
    reason = await refusal(config.url, "device")
    if reason is not None:
        yield fail(f"{name}: is not let in: {reason}", "check its user, password and certificate")
        return
    stranger = f"doctor-{secrets.token_hex(4)}"
    async for finding in _may_not_write(config, watcher, stranger):
        yield finding
    async for finding in _may_not_read(config, watcher, stranger):
        yield finding


async def _may_not_write(
    config: DeviceConfig, watcher: aiomqtt.Client, stranger: str
) -> AsyncIterator[Finding]:
    siblings = [models.topic(stranger, topic) for topic in wire.TOPICS]
    agents = [f"{wire.TOPIC_ROOT}/_agent/{stranger}"]
    discovery = [f"{DISCOVERY}/device/{stranger}/config"]
    allowed = models.topic(config.id, "reply")
    for topic in (f"{wire.TOPIC_ROOT}/#", f"{DISCOVERY}/#"):
        await watcher.subscribe(topic, 1)
    for topic in [*siblings, *agents, *discovery]:
        await _say(config.url, config.id, [topic])
    await _say(config.url, config.id, [allowed])
    seen = await _until(watcher, allowed)
    if allowed not in seen:
        yield fail(
            f"device {config.id}: what it says on {allowed} does not reach the agent",
            "let a device write its own topics: docs/security.md",
        )
    for what, topics in (
        ("other devices' topics", siblings),
        ("the agent's topics", agents),
        ("Home Assistant's discovery", discovery),
    ):
        yield _verdict(config, "write", what, seen & set(topics))


async def _say(url: BrokerUrl, name: str, topics: list[str]) -> None:
    """Publish nothing on each topic; a broker that hangs up instead has refused."""
    try:
        async with url.client(name) as client:
            for topic in topics:
                await client.publish(topic, b"", 1)
    except aiomqtt.MqttError:
        return


async def _may_not_read(
    config: DeviceConfig, watcher: aiomqtt.Client, stranger: str
) -> AsyncIterator[Finding]:
    siblings = [models.topic(stranger, topic) for topic in wire.TOPICS]
    agents = [f"{wire.TOPIC_ROOT}/_agent/{stranger}"]
    discovery = [f"{DISCOVERY}/device/{stranger}/config"]
    allowed = models.topic(config.id, "command")
    tried = ["#", f"{wire.TOPIC_ROOT}/#", f"{wire.TOPIC_ROOT}/+/embedding", f"{DISCOVERY}/#"]
    wanted = [*tried, *siblings, *agents]
    published = [*siblings, *agents, *discovery]
    seen = await _listen(config, watcher, wanted, published, allowed)
    if seen is None:  # hung up on for one of them: which others does it accept?
        each = [await _listen(config, watcher, [one], published, allowed) for one in wanted]
        seen = set().union(*(found for found in each if found is not None))
    async with config.url.client(config.id) as client:
        await client.subscribe(allowed, 1)
        await watcher.publish(allowed, b"", 1)
        if allowed not in await _until(client, allowed):
            yield fail(
                f"device {config.id}: commands on {allowed} do not reach it",
                "let a device read its own cmd, set/chunk and status: docs/security.md",
            )
    for what, topics in (
        ("other devices' topics", siblings),
        ("the agent's topics", agents),
        ("Home Assistant's discovery", discovery),
    ):
        yield _verdict(config, "read", what, seen & set(topics))


async def _listen(
    config: DeviceConfig,
    watcher: aiomqtt.Client,
    wanted: list[str],
    published: list[str],
    allowed: str,
) -> set[str] | None:
    """The topics that reach the device which wants some; None where the broker hangs up on it."""
    try:
        async with config.url.client(config.id) as client:
            await client.subscribe([(topic, 1) for topic in [*wanted, allowed]])
            await asyncio.gather(*(watcher.publish(topic, b"", 1) for topic in published))
            await watcher.publish(allowed, b"", 1)
            return await _until(client, allowed)
    except aiomqtt.MqttError:
        return None


async def _until(client: aiomqtt.Client, last: str) -> set[str]:
    """The topics of what arrives until something comes on `last`, or no more comes in time."""
    seen: set[str] = set()
    try:
        async with asyncio.timeout(ANSWER_S):
            async for message in client.messages:
                if not message.payload:  # ours; what others say is none of our business
                    seen.add(str(message.topic))
                    if str(message.topic) == last:
                        break
    except TimeoutError:
        pass
    return seen


def _verdict(config: DeviceConfig, verb: str, what: str, seen: set[str]) -> Finding:
    if not seen:
        return ok(f"device {config.id}: cannot {verb} {what}")
    shown = ", ".join(sorted(seen)[:2])
    return fail(f"device {config.id}: can {verb} {what} ({shown})", CLOSE_IT)
