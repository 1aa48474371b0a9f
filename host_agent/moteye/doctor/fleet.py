"""The machine's files, the devices and what the broker holds of them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
from moteye_protocol import models, wire
from moteye_protocol.codebook_set import read_set
from moteye_protocol.set_file import set_hash

from moteye.config import DEFAULT_FILE, Settings
from moteye.core.lints import silent
from moteye.core.ownership import Ownership
from moteye.doctor.finding import Finding, fail, ok, warn
from moteye.errors import ConfigError, MoteyeError
from moteye.keys import FleetKeys, load_keys
from moteye.link.devices import OWN_RESETS, Device, Devices
from moteye.policies import load_lenient, own_devices
from moteye.sets import SetArchive
from moteye.text.captions import caption_ground
from moteye.text.space import shipped_spaces

SETTLE_S = 1.5  # retained messages come at once
FIRST_S, LAST_S = 1_735_689_600, 2_682_374_400  # 2025 .. 2055, as devices have it
MAX_SKEW_MS = 2000


def files(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Keys and passwords are for their owner alone."""
    try:
        keys = load_keys(settings.keys)
        if keys is None:
            todo = "run `moteye keys init`, enroll the devices, and name the file as `keys`"
            yield warn("the fleet has no keys: whoever may write to a device commands it", todo)
        else:
            where = settings.keys or "the environment"
            yield ok(f"the fleet's keys are in {where}, for their owner only")
    except ConfigError as error:
        yield fail(str(error), "until then the agent does not start")
    file = config or DEFAULT_FILE
    if file.is_file() and "broker" in settings.model_fields_set and file.stat().st_mode & 0o077:
        url = settings.broker_url
        if url.password is not None and url.password in file.read_text():
            yield fail(f"others may read the password in {file}", f"run `chmod 600 {file}`")
    if not FIRST_S <= time.time() < LAST_S:
        yield fail("this machine's clock is not set", "signed commands expire by it: set it")


def keys_of(settings: Settings) -> FleetKeys | None:
    """The fleet's keys, where they can be used."""
    with contextlib.suppress(ConfigError):
        return load_keys(settings.keys)
    return None


class Fleet:
    """The devices that the broker knows; `client` is connected with the agent's rights."""

    def __init__(self, client: aiomqtt.Client, keys: FleetKeys | None, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._clocks: dict[str, int | None] = {}
        self._retained: list[str] = []
        # Of each agent that announced any: its sets by encoder, and its devices.
        self._sets: dict[str, tuple[dict[bytes, bytes], Ownership]] = {}
        self._agent = ""
        self.devices = Devices(self._publish, keys.signing_key if keys else None)

    async def listen(self) -> AsyncIterator[Finding]:
        """Take in what is retained, ask who is online, and judge."""
        await self._client.subscribe([(f"{wire.TOPIC_ROOT}/#", 1)])
        task = asyncio.create_task(self._take())
        try:
            await asyncio.sleep(SETTLE_S)
            for finding in self._agents():
                yield finding
            for name in sorted(self.devices.all):
                async for finding in self._device(self.devices.all[name]):
                    yield finding
            if not self.devices.all:
                yield warn("no device has ever been here", "start one with this broker")
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _agents(self) -> Iterator[Finding]:
        if self._agent == "online":
            yield ok("an agent is online")
        else:
            yield warn(f"no agent is online ({self._agent or 'never seen'})", "run `moteye run`")
        for topic in self._retained:
            yield fail(
                f"a retained command lies on {topic}: every device that connects refuses it",
                f"clear it: mosquitto_pub -r -n -t {topic}",
            )

    async def _device(self, device: Device) -> AsyncIterator[Finding]:
        name, birth = f"device {device.id}", device.birth
        if not device.online or birth is None:
            yield warn(f"{name}: {device.presence.state}", "start it, or clear what it left behind")
            return
        sets, own = self._wanted()
        if not own.owns(device.id):
            told = "no policy watches it, or `devices` leaves it out"
            yield ok(f"{name}: left alone ({told}); it keeps {self._kept_by(device)}")
            return
        encoder, known = birth.encoder, await asyncio.to_thread(shipped_spaces)
        wanted = sets.get(encoder)
        if encoder not in known:
            yield fail(
                f"{name}: its encoder is {encoder.hex()}, which this version does not know: there "
                f"are {', '.join(f'{space} {one.hex()}' for one, space in known.items())}",
                "give it one of these model packs, or the agent the version of that one",
            )
        elif wanted is not None and device.set_hash != wanted:
            used = device.set_hash.hex() if device.set_hash else "none"
            todo = "wait for the swap, or look into the agent's log"
            yield warn(f"{name}: uses prototype set {used}, not the agent's", todo)
        else:
            yield ok(f"{name}: firmware {birth.fw}, encoder {encoder.hex()}, its set is right")
        if birth.reset in OWN_RESETS:
            stage = f" when it stood still at stage {birth.stage}" if birth.stage else ""
            yield warn(f"{name}: was reset by {OWN_RESETS[birth.reset]}{stage}", "see its log")
        for finding in await asyncio.to_thread(self._silence, device.id, birth.captions):
            yield finding
        yield await self._clock(device)

    def _silence(self, device: str, pack: bytes | None) -> list[Finding]:
        """Policies about captions that hear nothing of a device."""
        heard = [one for one in load_lenient(self._settings.policies) if one.hears]
        known = caption_ground().pack if heard else b""
        told = {one.name: silent(one, device, pack, known) for one in heard}
        todo = "give it captions, or the policy other cameras"
        return [
            warn(f"policy {name} hears nothing: {why}", todo) for name, why in told.items() if why
        ]

    def _wanted(self) -> tuple[dict[bytes, bytes], Ownership]:
        """This agent's sets by encoder, as far as they are known, and its devices.

        As it says itself or, where another agent spoke last, as its files do.
        """
        settings = self._settings
        if settings.client_id in self._sets:
            return self._sets[settings.client_id]
        if "client_id" not in settings.model_fields_set and len(self._sets) == 1:
            return next(iter(self._sets.values()))
        archive = SetArchive(settings.sets_folder)
        data = archive.data(archive.current.hash) if archive.current is not None else None
        own = own_devices(settings.policies, settings.devices, lenient=True)
        return {read_set(data).encoder_hash: set_hash(data)} if data is not None else {}, own

    def _kept_by(self, device: Device) -> str:
        """The set of a device that is not this agent's, and whose it is."""
        used = f"set {device.set_hash.hex()}" if device.set_hash else "on without a set"
        owners = [name for name, (_, own) in self._sets.items() if own.owns(device.id)]
        return f"{used}, of agent {owners[0]}" if owners else used

    async def _clock(self, device: Device) -> Finding:
        name = f"device {device.id}"
        try:
            await self.devices.request(device, "ping")
        except MoteyeError as error:
            return fail(f"{name}: {error}", "see its log")
        clock_ms = self._clocks.get(device.id)
        if clock_ms is None:
            todo = "let it ask a time server: without a clock it obeys commands of any age"
            return warn(f"{name}: does not know the time", todo)
        skew_ms = clock_ms - int(time.time() * 1000)
        if abs(skew_ms) > MAX_SKEW_MS:
            return warn(f"{name}: its clock is {skew_ms / 1000:+.1f} s off", "set it")
        return ok(f"{name}: answers, and its clock is right")

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload, 1)

    async def _take(self) -> None:
        async for message in self._client.messages:
            topic, payload = str(message.topic), message.payload
            if not isinstance(payload, bytes):
                continue
            if message.retain and payload and topic.endswith(("/cmd", "/set/chunk")):
                self._retained.append(topic)
            if topic.startswith(f"{wire.TOPIC_ROOT}/_agent/"):
                self._take_agent(topic, payload)
                continue
            taken = self.devices.receive(topic, payload, bool(message.retain))
            if taken is not None and isinstance(taken[1], models.Reply):
                self._clocks[taken[0].id] = taken[1].t

    def _take_agent(self, topic: str, payload: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said = json.loads(payload)
            if topic.endswith("/status"):
                self._agent = str(said["state"])
            elif topic.endswith("/set"):
                own = Ownership(tuple(str(pattern) for pattern in said["devices"]))
                sets = {
                    bytes.fromhex(one["encoder"]): bytes.fromhex(one["set"])
                    for one in (said, *said.get("others", ()))
                }
                self._sets[str(said["client"])] = (sets, own)
