"""The agent as Home Assistant sees it: cameras, policies, and what may be asked of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from moteye import __version__, policies
from moteye.actions.pictures import GetPicture, png_of
from moteye.config import Settings
from moteye.core.language import Policy
from moteye.core.marks import Mark
from moteye.core.rollout import Plan
from moteye.errors import FeedbackError, FleetError, PolicyErrors, StoreError
from moteye.home.payloads import AgentView, CameraView
from moteye.judge import Judge
from moteye.link.devices import Device, Devices
from moteye.other_agents import OtherAgents
from moteye.spaces import Fleets
from moteye.switches import PolicySwitches

log = structlog.get_logger("moteye.house")


class AgentHouse:
    """Made of the agent's parts. `load` puts policies in force, `waiting` counts actions to do."""

    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        judge: Judge,
        switches: PolicySwitches,
        others: OtherAgents,
        *,
        fleets: Callable[[], Fleets | None],
        load: Callable[[list[Policy]], Awaitable[None]],
        present: Callable[[str], set[str]],
        waiting: Callable[[], int],
        feedback: Callable[[dict[str, str]], Awaitable[Mark]],
        picture: GetPicture,
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._judge = judge
        self._switches = switches
        self._others = others
        self._fleets = fleets
        self._load = load
        self._present = present
        self._waiting = waiting
        self._feedback = feedback
        self._picture = picture

    def cameras(self) -> list[CameraView]:
        """Every device of this agent that has said who it is."""
        return [self._camera(device) for device in self._own_devices() if device.birth is not None]

    def is_elsewhere(self, camera: str) -> bool:
        """Whether another agent shows this camera: then nothing said of it is ours to clear."""
        return self._others.own(camera)

    def _own_devices(self) -> list[Device]:
        fleets = self._fleets()
        found = list(self._devices.all.values())
        return [d for d in found if fleets is None or fleets.first.ownership.owns(d.id)]

    def _camera(self, device: Device) -> CameraView:
        compiled = self._judge.compiled
        state = device.set_state
        birth = device.birth
        assert birth is not None
        there = self._present(device.id)
        in_force = compiled.policies if compiled else ()
        fleets = self._fleets()
        fleet = fleets.of(device) if fleets is not None else None
        swapping = device.online and state is not None and state.state in _UNDER_WAY
        swapping = swapping and fleet is not None and fleet.is_bringing(device.id)
        current = fleet.archive.current if fleet is not None else None
        latest = current.version if current is not None else None
        if fleet is not None and current is not None and fleet.has(device):
            latest = _installed(device)
        percent = None
        if swapping and state is not None and state.state == "receiving" and state.of:
            percent = min(100, 100 * state.got // state.of)
        return CameraView(
            id=device.id,
            firmware=birth.fw,
            online=device.presence.state in ("online", "sleeping"),
            session=device.presence.session,
            installed=_installed(device),
            latest=latest,
            swapping=swapping,
            progress=percent,
            swap_state=state.state if state else "unknown",
            present={
                item.policy.name: item.policy.name in there
                for item in in_force
                if item.policy.watches(device.id)
            },
            frames=birth.frames,
        )

    def agent(self) -> AgentView:
        """The agent itself."""
        return AgentView(
            id=self._settings.client_id,
            version=__version__,
            cameras_online=sum(device.online for device in self._own_devices()),
            actions_waiting=self._waiting(),
            policies=self._switches.states(),
        )

    def install(self, camera: str) -> bool:
        """Bring the wanted set onto a camera, also where sets wait for a person's word."""
        fleets, device = self._fleets(), self._devices.all.get(camera)
        if fleets is None or device is None or not fleets.first.ownership.owns(camera):
            return False
        fleets.of(device).install(camera)
        return True

    def revert(self) -> bool:
        """Bring back the set before the current one; False where there is none."""
        fleets = self._fleets()
        try:
            if fleets is None:
                return False
            fleets.roll_back(None, self._settings.plan or Plan())
        except FleetError as error:
            log.warning("not reverted", reason=str(error))
            return False
        return True

    async def feedback(self, alert: str, said: str) -> bool:
        """Somebody says of an alert what it was; False where that cannot be taken."""
        try:
            mark = await self._feedback({"event": alert, "said": said})
        except (FeedbackError, StoreError) as error:
            log.warning("feedback refused", reason=str(error))
            return False
        log.info("feedback taken", mark=mark.number, text=mark.text)
        return True

    async def picture(self, alert: dict[str, Any]) -> bytes:
        """The frame of an alert, as PNG; from the file that an action wrote, if there is one.

        Raises MoteyeError where the camera hands out none.
        """
        if alert["picture"]:
            with contextlib.suppress(OSError):
                return await asyncio.to_thread(Path(alert["picture"]).read_bytes)
        pixels = await self._picture(alert["camera"], alert["frame"])
        return await asyncio.to_thread(png_of, pixels)

    async def switch(self, policy: str, *, on: bool) -> bool:
        """Switch a policy on or off, for good."""
        if policy not in self._switches.known:
            return False
        if self._switches.switch(policy, on=on):
            log.info("policy switched", policy=policy, on=on)
            try:
                await self._load(await asyncio.to_thread(policies.load, self._settings.policies))
            except PolicyErrors as error:
                log.error("policies not changed: fix these first", problems=str(error))
        return True


NO_SET = "0"
_UNDER_WAY = ("receiving", "verified", "trial")


def _installed(device: Device) -> str:
    """The set in use, by the device's own word; 0 where it has none."""
    state, birth = device.set_state, device.birth
    if state is not None and state.s == device.presence.session:
        return state.version or NO_SET
    return (birth.set_version or NO_SET) if birth else NO_SET
