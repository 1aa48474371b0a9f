"""The spaces of a fleet that mixes encoders, beside the configured one.

A further encoder is taken up when a device has it, and again at each later start; it has a set of
prototypes and a history of sets of its own.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from moteye.core.compile import CompiledSet, together
from moteye.core.language import Policy
from moteye.core.lints import without_positions
from moteye.core.offer import Form
from moteye.core.ownership import Ownership
from moteye.core.rollout import Plan
from moteye.errors import FleetError
from moteye.fleet import Fleet
from moteye.imaging import ImageError
from moteye.link.devices import Device
from moteye.schedule import WhileSchedule
from moteye.store import Store
from moteye.text.space import Space, load_space, shipped_spaces

log = structlog.get_logger("moteye.spaces")
MakeFleet = Callable[[bytes, Path | None], Fleet]


@dataclass
class Served:
    """A further encoder: its space, and the fleet of the devices that have it."""

    space: Space
    fleet: Fleet
    compiled: CompiledSet | None = None


@dataclass
class FurtherSpaces:
    """All further encoders by their hash; `folder` is where sets are kept, one below for each."""

    first: Space
    make_fleet: MakeFleet
    folder: Path | None = None
    all: dict[bytes, Served] = field(default_factory=dict)
    _refused: set[bytes] = field(default_factory=set)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def recall(self) -> None:
        """Take up the encoders that an earlier run has met, so that what it knew goes on."""
        for encoder in shipped_spaces():
            if self.folder is not None and (self.folder / encoder.hex()).is_dir():
                self._take_up(encoder)

    def is_new(self, encoder: bytes) -> bool:
        """Whether nothing is known of an encoder yet."""
        met = (self.first.encoder_hash, *self.all, *self._refused)
        return encoder not in met

    def meet(self, encoder: bytes, device: str) -> bool:
        """A device has this encoder. Whether it was taken up by that; one of no space is told."""
        if not self.is_new(encoder):
            return False
        known = shipped_spaces()
        if encoder not in known:
            self._refused.add(encoder)
            log.error(
                "a device has an encoder that this version does not know: it is not judged",
                device=device,
                encoder=encoder.hex(),
                known=", ".join(f"{name} {one.hex()}" for one, name in known.items()),
                hint="give the device one of these model packs, or the agent the device's version",
            )
            return False
        self._take_up(encoder)
        log.info("a further encoder", device=device, space=known[encoder], encoder=encoder.hex())
        return True

    def _take_up(self, encoder: bytes) -> None:
        name = shipped_spaces()[encoder]
        if encoder == self.first.encoder_hash or encoder in self.all:
            return
        folder = self.folder / encoder.hex() if self.folder is not None else None
        space = load_space(name, like=self.first)
        self.all[encoder] = Served(space, self.make_fleet(encoder, folder))
        self._came.set()

    def compile(self, found: list[Policy], **settings: Any) -> list[CompiledSet]:
        """The policies for each further encoder; those it has no examples for are left out.

        `settings` are those of `Space.compile` that do not depend on the encoder.
        """
        made = []
        for served in self.all.values():
            mine = [policy for policy in found if _can_see(served.space, policy)]
            served.compiled = None
            if not mine:
                log.warning("no policy is for this encoder", space=served.space.name)
                continue
            fleet = served.fleet
            number, previous = fleet.next_number(), fleet.previous()
            compiled = served.space.compile(mine, number=number, previous=previous, **settings)
            served.compiled = replace(compiled, built=fleet.reuse(compiled.built))
            made.append(served.compiled)
            _tell_unplaced(served.space, mine)
        return made

    def offer(self, dim: int) -> None:
        """Let the devices follow what was compiled."""
        for served in self.all.values():
            if served.compiled is not None:
                words = served.fleet.codebook(dim)
                served.fleet.want(served.space.offer(served.compiled.built, words))

    async def run(self) -> None:
        """Bring sets to the devices of all further encoders, until cancelled."""
        running: set[bytes] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._came.clear()
                for encoder, served in self.all.items():
                    if encoder not in running:
                        running.add(encoder)
                        tasks.create_task(served.fleet.run(), name=f"sets[{served.space.name}]")
                await self._came.wait()


def _can_see(space: Space, policy: Policy) -> bool:
    if policy.hears:  # captions are of no encoder's space: the first takes them all
        return False
    try:
        space.check_examples(policy)
    except ImageError as error:
        log.warning(
            "a policy does not watch the devices of an encoder",
            policy=policy.name,
            space=space.name,
            reason=str(error),
        )
        return False
    return True


def _tell_unplaced(space: Space, found: Iterable[Policy]) -> None:
    for lint in (one for policy in found for one in without_positions(policy)):
        if not space.gives_positions:
            log.warning(
                "a policy that can never alert on this encoder's devices",
                policy=lint.policy,
                space=space.name,
                reason=lint.text,
            )


def compile_recorded(
    space: Space, found: list[Policy], record: Store, *, dim: int, since_ms: int = 0
) -> CompiledSet:
    """The policies for a space, and for each other encoder of which frames are recorded."""
    known = shipped_spaces()
    settings: dict[str, Any] = {"number": 1, "dim": dim, "schedule_of": WhileSchedule}
    others = []
    for encoder in sorted(record.encoders(since_ms=since_ms) - {space.encoder_hash}):
        if encoder in known:
            other = load_space(known[encoder], like=space)
            mine = [policy for policy in found if _can_see(other, policy)]
            others += [other.compile(mine, **settings)] if mine else []
    return together(space.compile(found, **settings), others)


class Fleets:
    """The fleets of all encoders, the configured one's first; what is asked goes to each."""

    def __init__(self, first: Fleet, further: Iterable[Fleet]) -> None:
        self.first = first
        self._all = (first, *further)

    def own(self, ownership: Ownership) -> None:
        """The devices to bring sets to, from now on."""
        for fleet in self._all:
            fleet.own(ownership)

    def of(self, device: Device) -> Fleet:
        """The fleet of a device's encoder; the first where it has not said which that is."""
        encoder = device.birth.encoder if device.birth is not None else b""
        return next((one for one in self._all if one.encoder == encoder), self.first)

    def form(self, name: bytes) -> Form | None:
        """A form of the wanted classes by its hash."""
        return next((form for one in self._all if (form := one.form(name)) is not None), None)

    def roll_out(self, data: bytes | None, plan: Plan) -> dict[str, Any]:
        """Begin a rollout of a set, on the devices of its encoder, or of what the policies ask for.

        Raises FleetError.
        """
        if data is None:
            for fleet in self._all:
                fleet.roll_out(None, plan)
        else:
            chosen = next((one for one in self._all if one.takes(data)), self.first)
            chosen.roll_out(data, plan)
        return self.status()

    def roll_back(self, wanted: str | None, plan: Plan) -> dict[str, Any]:
        """Bring back an earlier set, or each encoder's set before. Raises FleetError."""
        having = [one for one in self._all if one.archive.find(wanted) is not None]
        for fleet in having or [self.first]:
            fleet.roll_back(wanted, plan)
        return self.status()

    def resume(self) -> dict[str, Any]:
        """Go on with what is paused or stopped. Raises FleetError."""
        return self._each(Fleet.resume)

    def stop(self) -> dict[str, Any]:
        """End the rollouts under way. Raises FleetError."""
        return self._each(Fleet.stop)

    def _each(self, do: Callable[[Fleet], object]) -> dict[str, Any]:
        failed = []
        for fleet in self._all:
            try:
                do(fleet)
            except FleetError as error:
                failed.append(error)
        if len(failed) == len(self._all):
            raise failed[0]
        return self.status()

    def status(self) -> dict[str, Any]:
        """Plain values: the first encoder's set and rollout, all devices, the other encoders."""
        told = [fleet.status() for fleet in self._all]
        encoders = {fleet.encoder.hex(): number for number, fleet in enumerate(self._all)}
        rows = []
        for at, row in enumerate(told[0]["devices"]):
            rows.append(told[encoders.get(row["encoder"], 0)]["devices"][at])
        others = [
            {"encoder": fleet.encoder.hex()} | {key: one[key] for key in ("current", "rollout")}
            for fleet, one in zip(self._all[1:], told[1:], strict=True)
        ]
        return {**told[0], "devices": rows, "others": others}

    def history(self) -> dict[str, Any]:
        """All sets that are kept, each encoder's oldest first."""
        return {"sets": [entry for one in self._all for entry in one.history()["sets"]]}
