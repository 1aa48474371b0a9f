"""The policies in force: compiled all at once, replaced all at once, and told."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from moteye_protocol.prototype_set import set_hash, version

from moteye import policies
from moteye.clock import EventClock
from moteye.config import Settings
from moteye.core.compile import CompiledSet, together
from moteye.core.engine import Engine
from moteye.core.language import Policy
from moteye.core.lints import silent, without_positions
from moteye.core.ownership import Ownership, ownership
from moteye.errors import MoteyeError, PolicyErrors
from moteye.fleet import Fleet
from moteye.judge import Judge
from moteye.ledger import Ledger
from moteye.link.connection import Connection
from moteye.link.devices import Device, Devices
from moteye.schedule import WhileSchedule
from moteye.sets import SetArchive
from moteye.spaces import Fleets, FurtherSpaces
from moteye.switches import PolicySwitches
from moteye.text.space import Space, load_space
from moteye.topics import Subscribers

log = structlog.get_logger("moteye.policies")
EPOCH_MS = 86_400_000  # sets of an earlier day than the one confirmed are not used


class InForce:
    """Turns policy files into what judge, engine and devices use.

    `space`, `fleet` and `further` are there from `load_space` on. `epochs`: sets carry the day, for
    devices that check where a set comes from.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        judge: Judge,
        ledger: Ledger,
        connection: Connection,
        subscribers: Subscribers,
        switches: PolicySwitches,
        clock: EventClock,
        *,
        epochs: bool,
    ) -> None:
        self.space: Space | None = None
        self.fleet: Fleet | None = None
        self.further: FurtherSpaces | None = None
        self._devices: Devices | None = None
        self._found: list[Policy] = []
        self._settings = settings
        self._engine = engine
        self._judge = judge
        self._ledger = ledger
        self._connection = connection
        self._subscribers = subscribers
        self._switches = switches
        self._clock = clock
        self._epochs = epochs

    async def load_space(
        self, devices: Devices, publish: Callable[[str, bytes], Awaitable[None]]
    ) -> None:
        """Load the embedding space; policies can be compiled, and sets kept, from then on."""
        settings = self._settings

        def make_fleet(encoder: bytes, folder: Path | None) -> Fleet:
            asks = settings.sets == "ask"
            return Fleet(devices, publish, encoder, SetArchive(folder), settings.plan, asks=asks)

        self._devices = devices
        self.space = await asyncio.to_thread(load_space, settings.space)
        self.fleet = make_fleet(self.space.encoder_hash, settings.sets_folder)
        self.further = FurtherSpaces(self.space, make_fleet, settings.sets_folder)
        await asyncio.to_thread(self.further.recall)

    @property
    def fleets(self) -> Fleets | None:
        """The fleets of all encoders, once the space is loaded."""
        if self.fleet is None:
            return None
        others = self.further.all.values() if self.further is not None else ()
        return Fleets(self.fleet, [served.fleet for served in others])

    @property
    def encoders(self) -> list[bytes]:
        """The encoders of the fleet that are known by now."""
        first = [self.space.encoder_hash] if self.space is not None else []
        return first + list(self.further.all if self.further is not None else ())

    def judges(self, encoder: bytes) -> bool:
        """Whether frames of an encoder can be judged."""
        served = self.further.all.get(encoder) if self.further is not None else None
        if self.space is not None and encoder == self.space.encoder_hash:
            return True
        return served is not None and (served.compiled is not None or not self._found)

    async def meet(self, encoder: bytes, device: str) -> None:
        """A device has this encoder: from now on the policies are for it, too."""
        if self.further is None or not self.further.is_new(encoder):
            return
        if await asyncio.to_thread(self.further.meet, encoder, device):
            await self.reload(self._found)

    async def sentence_vector(self, text: str) -> bytes:
        """What a device said, as int8[256]; empty before the space is loaded."""
        space = self.space
        return await asyncio.to_thread(space.sentence_vector, text) if space is not None else b""

    def tell_silent(self, devices: Iterable[Device]) -> None:
        """Warn of policies that wait for what devices do not say."""
        compiled = self._judge.compiled
        if compiled is None or compiled.captions is None:
            return
        for device in devices:
            if device.birth is None:
                continue
            for item in compiled.captions.policies:
                pack, known = device.birth.captions, compiled.captions.encoder
                reason = silent(item.policy, device.id, pack, known)
                if reason:
                    log.warning("nothing to hear", policy=item.policy.name, reason=reason)

    async def load(self, found: list[Policy]) -> None:
        """Compile `found` and put them in force all at once; devices follow by a swap."""
        space, fleet = self.space, self.fleet
        assert space is not None
        assert fleet is not None
        self._found = found
        own = ownership(self._settings.devices, found)
        found = self._switches.keep(found)
        if not found:
            log.warning("no policies", path=str(self._settings.policies))
            self._own(own)
            await self._replace(None)
            return
        number, previous = fleet.next_number(), fleet.previous()
        common: dict[str, Any] = {
            "dim": self._settings.dim,
            "schedule_of": WhileSchedule,
            "epoch": self._clock.unix_ms() // EPOCH_MS if self._epochs else 0,
        }
        compiled = await asyncio.to_thread(
            space.compile, found, number=number, previous=previous, **common
        )
        compiled = replace(compiled, built=fleet.reuse(compiled.built))
        if self.further is not None:
            others = await asyncio.to_thread(self.further.compile, found, **common)
            compiled = together(compiled, others)
        if self._judge.learns:
            await asyncio.to_thread(self._judge.cameras.prepare, compiled)
        self._own(own)
        await self._replace(compiled)
        if self._devices is not None:
            self.tell_silent(self._devices.all.values())
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
            await self.announce()

    def _own(self, own: Ownership) -> None:
        fleets = self.fleets
        assert fleets is not None
        fleets.own(own)

    async def _replace(self, compiled: CompiledSet | None) -> None:
        """Replace all at once: who is cut off further down leaves the new ones in force (T41)."""
        self._judge.compiled = compiled
        self._engine.replace(compiled.policies if compiled is not None else ())
        self._judge.phrases_changed()
        if self.fleet is not None and self.space is not None and compiled is not None:
            words = self.fleet.codebook(self._settings.dim)
            self.fleet.want(self.space.offer(compiled.built, words))
            if self.further is not None:
                self.further.offer(self._settings.dim)
        await self._ledger.policies_changed()
        await self._connection.subscribe(self._engine.topics)

    async def announce(self) -> None:
        """Tell subscribers what the rows of the prototype set mean, and whose it is (retained)."""
        if self._judge.compiled is None or self.fleet is None:
            return
        names = {
            "client": self._settings.client_id,
            "devices": list(self.fleet.ownership.patterns),
            **_told(self._judge.compiled),
        }
        if self._judge.compiled.others:
            names["others"] = [_told(other) for other in self._judge.compiled.others.values()]
        text = json.dumps(names, ensure_ascii=False)
        await self._subscribers.tell("set", text, qos=1, retain=True)

    async def watch(self) -> None:
        """Follow the policy files until cancelled."""
        async for found in policies.watch(self._settings.policies):
            if isinstance(found, PolicyErrors):
                log.error("policies not changed: fix these first")
                for problem in found.problems:
                    log.error(str(problem))
                await self._refused(str(found))
            else:
                await self.reload(found)

    async def reload(self, found: list[Policy]) -> None:
        """Put other policies in force; where that fails the old ones stay, and it shows."""
        try:
            await self.load(found)
        except (MoteyeError, ValueError, ArithmeticError, MemoryError) as error:
            log.error("policies not changed", reason=str(error))
            await self._refused(str(error) or type(error).__name__)
        else:
            await self.tell_state("")

    async def _refused(self, problems: str) -> None:
        report = {"event": "policy_errors", "problems": problems}
        await self._subscribers.tell("event", json.dumps(report, ensure_ascii=False), qos=0)
        await self.tell_state(problems)

    async def tell_state(self, problems: str) -> None:
        """Which policies are in force, and why the latest ones are not (retained)."""
        state = {
            "state": "refused" if problems else "ok",
            "in_force": list(dict.fromkeys(item.policy.name for item in self._engine.policies)),
            "problems": problems,
        }
        text = json.dumps(state, ensure_ascii=False)
        await self._subscribers.tell("policies", text, qos=1, retain=True)


def _told(compiled: CompiledSet) -> dict[str, Any]:
    """One encoder's set, for subscribers."""
    built = compiled.built
    return {
        "encoder": compiled.encoder.hex(),
        "set": set_hash(built.data).hex(),
        "version": version(built.prototypes.number, built.data),
        "names": list(built.prototypes.names),
    }
