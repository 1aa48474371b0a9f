"""The one writer of prototype sets: what devices should use, in waves, with a way back.

    policies ─ want ─┐
    rollout FILE ────┼─▶ archive ─▶ Rollout (who) ─▶ SetKeeper (how) ─▶ devices
    rollback ────────┘

An agent has one; a command acts as one where no agent runs. The archive's lock keeps it at one.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

import structlog
from moteye_protocol import models
from moteye_protocol.codebook_set import CodebookSet, read_set
from moteye_protocol.prototype_set import PrototypeSet
from moteye_protocol.set_file import PrototypeSetError

from moteye.core.offer import Form, Offer
from moteye.core.ownership import Ownership
from moteye.core.prototypes import BuiltSet
from moteye.core.rollout import Plan, Rollout, Seen
from moteye.errors import FleetError
from moteye.link.devices import Device, Devices, Publish
from moteye.link.keeper import SetKeeper
from moteye.sets import Entry, SetArchive

log = structlog.get_logger("moteye.fleet")
TICK_S = 0.5
LOCK_RETRY_S = 1.0


class Fleet:
    """Feed it what devices say (`heard`); `await run()` until cancelled.

    `plan` is how a change of policies reaches the devices: all at once where it has one group. With
    `asks` a device gets no set before somebody says `install`. Devices that are not its own (`own`)
    are left as they are.
    """

    def __init__(
        self,
        devices: Devices,
        publish: Publish,
        encoder_hash: bytes,
        archive: SetArchive,
        plan: Plan | None = None,
        *,
        asks: bool = False,
    ) -> None:
        self.archive = archive
        self.rollout: Rollout | None = None
        self.ownership = Ownership()
        self._plan = plan or Plan()
        self._devices = devices
        self.encoder = encoder_hash
        self._seen: dict[str, Seen] = {}
        self._policies: Offer | None = None
        self._asks = asks
        self._asked: dict[str, str] = {}  # the hash of the set that a person wants, by device
        self._owned = False
        self.started = asyncio.Event()  # it is the one writer by now
        self._keeper = SetKeeper(
            devices, publish, encoder_hash, may=self._may, failed=self._device_failed
        )

    # --- what is wanted

    def own(self, ownership: Ownership) -> None:
        """The devices to bring sets to, from now on."""
        if ownership != self.ownership:
            log.info("sets go to", devices=list(ownership.patterns))
        self.ownership = ownership
        self._devices.changed.set()

    def reuse(self, built: BuiltSet) -> BuiltSet:
        """`built`, or the current set where it has the same classes: then nothing need travel."""
        current = self.archive.current
        data = self.archive.data(current.hash) if current is not None else None
        if data is None:
            return built
        found = read_set(data)
        if not isinstance(found, PrototypeSet):
            return built
        alike = replace(built.prototypes, number=found.number, epoch=found.epoch)
        return replace(built, prototypes=found, data=data) if alike.encode() == data else built

    def takes(self, data: bytes) -> bool:
        """Whether bytes are a set for this fleet's encoder."""
        try:
            return read_set(data).encoder_hash == self.encoder
        except PrototypeSetError:
            return False

    def next_number(self) -> int:
        """The number of the next set."""
        return max((entry.number for entry in self.archive.entries), default=0) + 1

    def previous(self) -> PrototypeSet | None:
        """The set that the next one is likely to be a change of."""
        data = self.archive.data(self.archive.current.hash) if self.archive.current else None
        found = read_set(data) if data is not None else None
        return found if isinstance(found, PrototypeSet) else None

    def codebook(self, dim: int) -> CodebookSet | None:
        """The codewords that devices know by now."""
        return self._policies.codebook(dim) if self._policies is not None else None

    def form(self, name: bytes) -> Form | None:
        """A form of the wanted classes by its hash."""
        return self._keeper.offer.named(name) if self._keeper.offer is not None else None

    def want(self, offer: Offer) -> None:
        """The policies ask for these classes."""
        self._policies = offer
        if self._owned:
            self._follow_policies()

    def roll_out(self, data: bytes | None, plan: Plan) -> dict[str, Any]:
        """Begin a rollout of a set, or without one of what the policies ask for; says what it is.

        Raises FleetError.
        """
        if data is None:
            if self._policies is None:
                raise FleetError("there are no policies to roll out; name a set file")
            self._begin(self._policies, "policies", plan, pinned=False)
        else:
            self._begin(self._checked(data), "file", plan, pinned=True)
        return self.status()

    def roll_back(self, wanted: str | None, plan: Plan) -> dict[str, Any]:
        """Bring back an earlier set's classes, under a new number and an epoch that devices take.

        They stay until somebody rolls out again, whatever policies say. Raises FleetError.
        """
        entry = self.archive.find(wanted)
        if entry is None:
            raise FleetError(
                f"{wanted or 'a set before this one'} is not in the history; "
                "`moteye prototypes history` lists what is"
            )
        data = self.archive.data(entry.hash)
        if data is None:
            raise FleetError(f"the file of {entry.version} is gone or damaged")
        current = self.archive.current
        newest = self.archive.data(current.hash) if current is not None else None
        floor = read_set(newest).epoch if newest is not None else 0
        found = read_set(data)
        epoch = max(floor, found.epoch)
        if current is None or entry.hash != current.hash:
            found = replace(found, number=self.next_number(), epoch=epoch)
        self._begin(
            Offer(Form(found, found.encode())), f"rollback to {entry.version}", plan, pinned=True
        )
        return self.status()

    def install(self, device: str) -> None:
        """A person wants the current set on this device."""
        if self.archive.current is not None:
            self._asked[device] = self.archive.current.hash
            self._devices.changed.set()

    def has(self, device: Device) -> bool:
        """Whether a device uses the current set, in whatever form."""
        return self._keeper.has(device)

    def is_bringing(self, device: str) -> bool:
        """Whether a set is on its way to a device; what it says may be left from another time."""
        return self._keeper.is_bringing(device)

    def resume(self) -> dict[str, Any]:
        """Go on with a rollout that is paused or stopped. Raises FleetError."""
        if self.rollout is None or not self.rollout.resume():
            raise FleetError("no rollout is paused or stopped")
        log.info("rollout goes on", set=self.rollout.name, wave=self.rollout.wave + 1)
        self._save()
        return self.status()

    def stop(self) -> dict[str, Any]:
        """End the rollout under way: no further device gets the set. Raises FleetError."""
        if self.rollout is None or not self.rollout.stop("stopped by hand"):
            raise FleetError("no rollout is under way")
        self._save()
        return self.status()

    # --- what is told

    def look(self) -> None:
        """Know what was wanted last, without being the writer."""
        self.rollout = self.archive.rollout
        current = self._current_offer()
        if current is not None:
            self._keeper.want(current)

    def status(self) -> dict[str, Any]:
        """Plain values: the current set, the rollout, and each device."""
        current, rollout = self.archive.current, self.rollout
        members = rollout.members if rollout is not None else {}
        found = []
        for device in sorted(self._devices.all.values(), key=lambda device: device.id):
            member = members.get(device.id)
            state = device.set_state
            found.append(
                {
                    "device": device.id,
                    "presence": device.presence.state,
                    "encoder": device.birth.encoder.hex() if device.birth is not None else "",
                    "version": (state.version if state else "") or "",
                    "state": state.state if state else "",
                    "code": member.code if member and member.code else state.code if state else "",
                    "current": self._keeper.has(device),
                    "left": "" if self.ownership.owns(device.id) else self.ownership.reason,
                    "wave": member.wave + 1 if member else None,
                    "outcome": member.outcome if member else None,
                }
            )
        return {
            "current": vars(current) if current is not None else None,
            "pinned": self.archive.pinned,
            "rollout": _summary(rollout) if rollout is not None else None,
            "devices": found,
        }

    def history(self) -> dict[str, Any]:
        """All sets that are kept, oldest first."""
        return {"sets": [vars(entry) for entry in self.archive.entries]}

    # --- the course of things

    def heard(self, device: str, message: models.Message) -> None:
        """A device has looked, or has reported classes."""
        before = self._seen.get(device, Seen())
        if isinstance(message, models.Embedding):
            self._seen[device] = Seen(before.frames + 1, before.sightings)
        elif isinstance(message, models.Detections):
            shown = any(margin_q8 >= 0 for _, margin_q8, _ in message.rows)
            self._seen[device] = Seen(before.frames, before.sightings + shown)

    async def run(self) -> None:
        """Until cancelled. Waits while another process writes."""
        waited = False
        while not self.archive.take():
            if not waited:
                log.warning("another process brings sets to these devices; waiting for its end")
                waited = True
            await asyncio.sleep(LOCK_RETRY_S)
        self._owned = True
        try:
            self._take_up()
            self.started.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keeper.run(), name="keeper")
                tasks.create_task(self._watch(), name="rollout")
        finally:
            self._owned = False
            self.archive.release()

    async def _watch(self) -> None:
        while True:
            self.tick(time.monotonic())
            await asyncio.sleep(TICK_S)

    def tick(self, now_s: float) -> None:
        """Move the rollout on."""
        rollout = self.rollout
        if rollout is None or rollout.state != "running":
            return
        before = rollout.to_json()
        rollout.leave_out([name for name in rollout.members if not self.ownership.owns(name)])
        for name, member in rollout.members.items():
            device = self._devices.all.get(name)
            if device is None or member.outcome != "waiting" or not rollout.released(name):
                continue
            if self._keeper.has(device):
                rollout.outcome(name, "ok")
                self.archive.count(rollout.name, "ok")
        rollout.tick(now_s, self._seen)
        if rollout.to_json() != before:
            if rollout.state != "running":
                level = log.info if rollout.state == "done" else log.warning
                level("rollout", state=rollout.state, set=rollout.name, reason=rollout.reason)
            self._save()

    def _may(self, device: str) -> bool:
        if not self.ownership.owns(device):
            return False
        current = self.archive.current
        if self._asks and (current is None or self._asked.get(device) != current.hash):
            return False
        return self.rollout is None or self.rollout.released(device)

    def _device_failed(self, device: str, code: str) -> None:
        current = self.archive.current
        if current is not None:
            self.archive.count(current.hash, code)
        if self.rollout is not None:
            self.rollout.outcome(device, code)

    def _take_up(self) -> None:
        """Go on where the writer before has ended."""
        for entry in self.archive.entries:
            data = self.archive.data(entry.hash)
            if data is not None:
                self._keeper.remember(data)
        self.rollout = self.archive.rollout
        current = self._current_offer()
        if current is not None:
            self._keeper.want(current)
        self._follow_policies()

    def _current_offer(self) -> Offer | None:
        current = self.archive.current
        data = self.archive.data(current.hash) if current is not None else None
        if data is None:
            return None
        found = read_set(data)
        return Offer(Form(found, data)) if found.encoder_hash == self.encoder else None

    def _follow_policies(self) -> None:
        offer, current = self._policies, self.archive.current
        if offer is None:
            return
        if current is not None and current.hash == offer.whole.hash.hex():
            self._keeper.want(offer)  # the same file, with its other forms
        elif self.archive.pinned and self._keeper.offer is not None:
            log.warning(
                "devices keep their set; `moteye prototypes rollout` brings them the policies'",
                set=current.version if current is not None else "",
            )
        else:
            self._begin(offer, "policies", self._plan, pinned=False)

    def _checked(self, data: bytes) -> Offer:
        try:
            found = read_set(data)
        except PrototypeSetError as error:
            raise FleetError(f"not a prototype set: {error}") from error
        if found.encoder_hash != self.encoder:
            raise FleetError(
                f"the set is for encoder {found.encoder_hash.hex()}, "
                f"these devices have {self.encoder.hex()}"
            )
        return Offer(Form(found, data))

    def _begin(self, offer: Offer, origin: str, plan: Plan, *, pinned: bool) -> Entry:
        entry = self.archive.add(offer.whole.data, origin, int(time.time()))
        self.archive.pinned = pinned
        self.rollout = None
        if len(plan.groups) > 1 or plan.pause or origin != "policies":
            online = [d.id for d in self._devices.all.values() if self._is_ours(d.id)]
            self.rollout = Rollout.begin(entry.hash, plan, online)
        self._keeper.want(offer)
        self._save()
        return entry

    def _is_ours(self, name: str) -> bool:
        device = self._devices.all[name]
        ours = device.birth is not None and device.birth.encoder == self.encoder
        return device.online and ours and self.ownership.owns(name)

    def _save(self) -> None:
        self.archive.rollout = self.rollout
        self.archive.save()
        self._devices.changed.set()


def _summary(rollout: Rollout) -> dict[str, Any]:
    outcomes = [member.outcome for member in rollout.members.values()]
    return {
        "set": rollout.name,
        "state": rollout.state,
        "reason": rollout.reason,
        "wave": rollout.wave + 1,
        "waves": rollout.waves,
        "devices": len(outcomes),
        "confirmed": outcomes.count("confirmed"),
        "failed": outcomes.count("failed"),
    }
