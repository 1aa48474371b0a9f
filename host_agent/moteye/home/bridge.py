"""Keeps Home Assistant told: discovery, then states, then availability, and again at its birth.

Alerts are told at once, their pictures when the camera has handed them over.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import structlog

from moteye.errors import LinkError, MoteyeError
from moteye.home import payloads
from moteye.home.payloads import AgentView, CameraView, Topics
from moteye.home.topics import TopicLedger

log = structlog.get_logger("moteye.home")
TICK_S = 0.5
SETTLE_S = 10.0  # after a connect every camera's retained birth has come
BIRTH_JITTER_S = (2.0, 10.0)
Publish = Callable[..., Awaitable[None]]


class House(Protocol):
    """What the bridge needs of the agent."""

    def cameras(self) -> list[CameraView]:
        """Every camera that is known."""

    def is_elsewhere(self, camera: str) -> bool:
        """Whether another agent shows a camera."""

    def agent(self) -> AgentView:
        """The agent itself."""

    def install(self, camera: str) -> bool:
        """Bring the wanted prototype set onto a camera; False where it is not known."""

    def revert(self) -> bool:
        """Bring back the prototype set before the current one; False where there is none."""

    async def switch(self, policy: str, *, on: bool) -> bool:
        """Switch a policy; False where there is none of that name."""

    async def feedback(self, alert: str, said: str) -> bool:
        """Take what somebody says of an alert: known, wrong, right or a name."""

    async def picture(self, alert: dict[str, Any]) -> bytes:
        """The frame of an alert, as PNG. Raises MoteyeError where the camera hands out none."""


class Bridge:
    """`await run()` until cancelled. `clock` in seconds and `jitter` 0 to 1 are for tests."""

    def __init__(
        self,
        house: House,
        publish: Publish,
        topics: Topics,
        ledger_file: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._house = house
        self._publish = publish
        self._topics = topics
        self._ledger = TopicLedger(ledger_file)
        self._clock = clock
        self._jitter = jitter
        self._published: dict[str, str] = {}
        self._again_at: float | None = None
        self._settled_at = float("inf")
        self._forgotten: set[str] = set()
        self._last_alert: dict[str, dict[str, Any]] = {}  # by camera
        self._captions: dict[str, tuple[int, str]] = {}  # the newest, with its frame, by camera
        # The newest alert of each camera whose picture is to be shown.
        self._to_picture: dict[str, dict[str, Any]] = {}
        self._to_picture_came = asyncio.Event()

    @staticmethod
    def subscriptions(topics: Topics) -> list[tuple[str, int]]:
        """What has to come to `receive`."""
        return [(f"{topics.prefix}/status", 1), (topics.of("+", "cmd"), 1)]

    def takes(self, topic: str) -> bool:
        """Whether a message is for `receive`."""
        home = topic.startswith(f"{self._topics.root}/home/") and topic.endswith("/cmd")
        return home or topic == f"{self._topics.prefix}/status"

    def connected(self) -> None:
        """The broker is there, perhaps without anything that it held: say all again."""
        self._again_at = self._clock()
        self._settled_at = self._clock() + SETTLE_S

    def forget(self, camera: str) -> None:
        """A camera was removed."""
        self._forgotten.add(camera)

    async def run(self) -> None:
        """Look every TICK_S what has changed, and say it; show pictures as they come."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show_pictures())
            while True:
                await asyncio.sleep(TICK_S)
                try:
                    await self.tick()
                except LinkError as error:
                    log.warning("Home Assistant not told", reason=str(error))

    async def _show_pictures(self) -> None:
        """A camera takes seconds to hand one over, which nothing else waits for."""
        while True:
            await self._to_picture_came.wait()
            self._to_picture_came.clear()
            while self._to_picture:
                camera, alert = self._to_picture.popitem()
                await self.show_picture(camera, alert)

    async def show_picture(self, camera: str, alert: dict[str, Any]) -> None:
        """Show the frame of an alert; where there is none to be had, the one before stays."""
        try:
            picture = await self._house.picture(alert)
            topic = self._topics.of(camera, "picture")
            self._published.pop(topic, None)
            await self._publish(topic, picture, retain=True)
        except MoteyeError as error:
            log.info("no picture for Home Assistant", camera=camera, reason=str(error))

    async def tick(self) -> None:
        """Publish what differs from what was published. Raises LinkError."""
        now = self._clock()
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self._published.clear()
        elif self._settled_at == float("inf"):
            return  # never connected
        await self._tell(self._wanted())
        await self._clear_orphans(settled=now >= self._settled_at)

    def _wanted(self) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
        """(config topic, discovery message, states) of every device."""
        agent = self._house.agent()
        found = [
            (
                self._topics.config(f"moteye_agent_{agent.id}"),
                payloads.agent_config(agent, self._topics),
                payloads.agent_states(agent, self._topics),
            )
        ]
        for camera in self._house.cameras():
            if camera.id in self._forgotten and not camera.online:
                continue
            self._forgotten.discard(camera.id)
            found.append(
                (
                    self._topics.config(f"moteye_{camera.id}"),
                    payloads.camera_config(camera, agent, self._topics),
                    payloads.camera_states(camera, self._topics),
                )
            )
        return found

    async def _tell(self, wanted: list[tuple[str, dict[str, Any], dict[str, str]]]) -> None:
        for config, message, states in wanted:
            platforms = {key: part["p"] for key, part in message["cmps"].items()}
            self._ledger.note(config, platforms, list(states))
            gone = self._ledger.gone(config, platforms)
            for key, platform in gone.items():
                message["cmps"][key] = {"p": platform}
            await self._say(config, json.dumps(message, ensure_ascii=False))
            if payloads.PICTURE in gone:  # its owner has thought better of it
                await self._say(_beside(next(iter(states)), "picture"), "")
        for _, _, states in wanted:
            for topic, payload in states.items():
                await self._say(topic, payload)

    async def _say(self, topic: str, payload: str) -> None:
        if self._published.get(topic) != payload:
            await self._publish(topic, payload.encode(), retain=True)
            self._published[topic] = payload

    async def _clear_orphans(self, *, settled: bool) -> None:
        """Empty what was published for devices that are gone.

        Until the cameras' births have come only those are gone that somebody removed.
        """
        wanted = {config for config, _, _ in self._wanted()}
        self._leave(set(self._ledger.devices) - wanted)
        if not settled:
            removed = {self._topics.config(f"moteye_{camera}") for camera in self._forgotten}
            wanted |= set(self._ledger.devices) - removed
        orphans = self._ledger.orphans(wanted)
        for topic in orphans:
            await self._publish(topic, b"", retain=True)
            self._published.pop(topic, None)
            if topic.endswith("/availability"):
                for name in ("last", "picture"):
                    await self._publish(_beside(topic, name), b"", retain=True)
        if orphans:
            log.info("cleared for Home Assistant", topics=len(orphans))
            self._ledger.forget({topic for topic in orphans if topic in self._ledger.devices})

    def _leave(self, configs: set[str]) -> None:
        """What another agent publishes by now is not ours to clear."""
        given = {c for c in configs if self._house.is_elsewhere(self._topics.camera(c))}
        if given:
            of_camera = {topic for topic, c in self._ledger.states.items() if c in given}
            for topic in given | of_camera:
                self._published.pop(topic, None)
            self._ledger.forget(given)

    async def alerted(self, alert: dict[str, Any]) -> None:
        """Show an alert: an event, and the retained sensors for who was away. Raises LinkError."""
        camera = str(alert["camera"])
        if alert["event"] != "ended":
            self._last_alert[camera] = alert
            await self._say_last(camera)
        await self._publish(
            self._topics.of(camera, "alert"), payloads.event_of(alert).encode(), retain=False
        )
        if alert["event"] != "ended" and self._hands_out_frames(camera):
            self._to_picture[camera] = alert
            self._to_picture_came.set()

    def _hands_out_frames(self, camera: str) -> bool:
        return any(view.frames for view in self._house.cameras() if view.id == camera)

    async def captioned(self, camera: str, frame: int, text: str) -> None:
        """A device has said a frame in words, perhaps after the alert on that frame."""
        self._captions[camera] = (frame, text)
        alert = self._last_alert.get(camera)
        if alert is not None and alert["frame"] == frame:
            try:
                await self._say_last(camera)
            except LinkError as error:
                log.warning("Home Assistant not told", reason=str(error))

    async def _say_last(self, camera: str) -> None:
        _, caption = self._captions.get(camera, (0, ""))
        last = payloads.last_of(self._last_alert[camera], caption)
        await self._publish(self._topics.of(camera, "last"), last.encode(), retain=True)

    async def receive(self, topic: str, payload: bytes, retain: bool) -> None:
        """Take Home Assistant's birth or a command."""
        if not topic.endswith("/cmd"):
            if payload == b"online" and (self._again_at is None or self._again_at <= self._clock()):
                low, high = BIRTH_JITTER_S
                self._again_at = self._clock() + low + self._jitter() * (high - low)
            return
        device = topic.split("/")[-2]
        is_agent, ours = device.startswith("_"), self._house.agent().branch
        if self._house.is_elsewhere(device) or (is_agent and device != ours):
            return  # another agent's
        command: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            found = json.loads(payload)
            command = found if isinstance(found, dict) else {}
        if retain or not await self._obey(device, command):
            reason = "retained" if retain else "not known here"
            log.warning("command refused", topic=topic, command=command.get("op"), reason=reason)

    async def _obey(self, device: str, command: dict[str, Any]) -> bool:
        match command:
            case {"op": "install"}:
                return self._house.install(device)
            case {"op": "revert"}:
                return self._house.revert()
            case {"op": "feedback", "said": str(said)}:
                alert = str(command.get("id") or self._last_alert.get(device, {}).get("id", ""))
                return bool(alert) and await self._house.feedback(alert, said)
            case {"op": "on" | "off" as word, "policy": str(name)}:
                return await self._house.switch(name, on=word == "on")
        return False


def _beside(topic: str, name: str) -> str:
    """Another topic of the same device."""
    return f"{topic.rpartition('/')[0]}/{name}"
