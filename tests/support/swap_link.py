"""A device's own swap code and the agent's, with a link between them that a test holds in its hand.

Time is virtual on both sides, flash loses power where it is told to, and nothing is delivered
before somebody says so.
"""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from moteye.clock import EventClock
from moteye.core.offer import Form, Offer
from moteye.link.devices import Devices
from moteye.link.keeper import SetKeeper
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import decode
from moteye_protocol.signing import device_key

from support import firmware_host
from support.flash_simulator import PowerCut, SimulatedFlash

DEVICE = "cam"
FLEET_KEY = b"\x05" * 32
START_S = 1_790_000_000.0
FRAME = np.arange(-128, 128).astype(np.int8).tobytes()

import inbox  # noqa: E402  of the firmware, as support.firmware_host prepares it
import messages  # noqa: E402


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until `now_s` is moved."""

    now_s = 0.0

    def time(self):
        """Seconds."""
        return self.now_s


@dataclass(eq=False)
class Packet:
    """A message on its way; `state` is what the firmware's outbox would know of it."""

    topic: str
    payload: bytes
    retain: bool = False
    state: int = firmware_host.SENT


class LinkedDevice:
    """The firmware's commands, inbox and swap over a flash; a start counts the session."""

    def __init__(self, link, encoder, keys):
        self._link, self._encoder, self._keys = link, encoder, keys
        self.flash = SimulatedFlash(firmware_host.flash_size())
        self.session = 0
        self.cut_in = []  # the swap's state before each power cut
        self.start()

    def start(self):
        """Begin anew with what the flash holds."""
        self.flash.fail_at = None
        self.session += 1
        self.messages = messages.Messages(DEVICE, self.session)
        self.messages.uptime = SimpleNamespace(ms=lambda: int(self._link.loop.now_s * 1000))
        self.messages.client = self
        most, trial_ms = firmware_host.MAX_BYTES, firmware_host.TRIAL_MS
        arguments = (self.flash, True, self._encoder, 64, most, trial_ms, self._say_set_state)
        self.swap = None
        self.swap = firmware_host.swap.Swap(*arguments)
        self.swap.boot(None, None, self.messages.uptime.ms())
        self._inbox = inbox.Inbox(self.messages, self.swap, None, None, self._say_state, self._keys)
        self.connect()

    def connect(self):
        """What it says at every connect."""
        self.messages.publish_status("online")
        self._say_state()

    def publish(self, topic, payload, qos=0, retain=False, telemetry=False):
        """The firmware's MQTT client."""
        packet = Packet(topic, bytes(payload), retain)
        self._link.up.append(packet)
        return packet

    def powered(self, work, *arguments):
        """Do something; where the power goes in the middle of it, begin anew."""
        before = self.swap.fields()["state"]
        try:
            work(*arguments)
        except PowerCut:
            self.cut_in.append(before)
            self.start()

    def hear(self, packet):
        """A message of the agent."""
        self.powered(self._inbox.take, packet.topic, packet.payload, False)

    def heartbeat(self):
        """An embedding, by which the agent notices what it has missed."""
        active = self.swap.active
        fields = {
            "frame": self.messages.uptime.ms(),
            "at": self.messages.uptime.ms(),
            "encoder": self._encoder,
            "set": active.hash if active else None,
            "e": FRAME,
            "why": "heartbeat",
            "sim": 0,
        }
        self.messages.publish("embedding", fields, telemetry=True)

    def live(self, frames):
        """Frames are seen and time is looked at."""
        for _ in range(frames):
            self.swap.looked(FRAME)
        self.powered(self.swap.tick, self.messages.uptime.ms())

    def _say_state(self):
        active = self.swap.active
        fields = {
            "fw": "t",
            "encoder": self._encoder,
            "dim": 64,
            "width": 0,
            "height": 0,
            "set": active.hash if active else None,
            "set_version": active.version if active else "",
            "frames": False,
            "max_set": firmware_host.MAX_BYTES,
            "keys": len(self._keys),
            "ops": list(wire.OPERATIONS),
            "interval": 100,
        }
        self.messages.publish("birth", fields)
        self._say_set_state()

    def _say_set_state(self):
        if self.swap is not None:
            self.swap.told = self.messages.publish("set_state", self.swap.fields())


class SwapLink:
    """Both ends and what is on its way: `up` from the device, `down` from the agent."""

    def __init__(self, encoder, *, keyed):
        self.loop = VirtualLoop()
        self.up, self.down, self.retained = [], [], {}
        self._encoder, self._keyed = encoder, keyed
        self._clock = lambda: START_S + self.loop.now_s
        messages.unix_ms = inbox.unix_ms = lambda: int(self._clock() * 1000)
        keys = (device_key(FLEET_KEY, DEVICE),) if keyed else ()
        self.device = LinkedDevice(self, encoder, keys)
        self.start_agent(None)

    def start_agent(self, wanted):
        """Begin anew with what the broker retains."""
        self.end_agent()
        key_of = (lambda device: device_key(FLEET_KEY, device)) if self._keyed else None
        clock = EventClock(self._clock, self._clock)
        self.devices = Devices(self._publish, key_of, clock=clock, resync=lambda device: True)
        self.keeper = SetKeeper(self.devices, self._publish, self._encoder)
        for packet in self.retained.values():
            self._agent_hears(packet, retain=True)
        if wanted is not None:
            self.want(wanted)
        self.loop.create_task(self.keeper.run())
        self.settle()

    def want(self, data):
        """The set that the agent brings to the device from now on."""
        self.keeper.want(Offer(Form(decode(data), data)))

    def end_agent(self):
        """Kill it in the middle of whatever it does."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))

    def close(self):
        """End the agent and the loop."""
        self.end_agent()
        self.loop.close()

    async def _publish(self, topic, payload):
        self.down.append(Packet(topic, payload))

    def settle(self):
        """Let every task of the agent run until it waits."""

        async def turns():
            for _ in range(60):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def wait(self, seconds, frames=0):
        """Time passes on both sides."""
        self.loop.now_s += seconds
        self.device.live(frames)
        self.settle()

    def to_agent(self, packet):
        """The broker takes a message of the device and hands it on."""
        packet.state = firmware_host.ACKED
        if packet.retain or models.split_topic(packet.topic)[1] in ("birth", "set_state"):
            self.retained[packet.topic] = packet
        self._agent_hears(packet, retain=False)

    def _agent_hears(self, packet, *, retain):
        async def hear():
            self.devices.receive(packet.topic, packet.payload, retain)

        self.loop.run_until_complete(hear())
        self.settle()

    def restart_broker(self):
        """Everything that it held is gone; the device connects again."""
        self.up.clear()
        self.down.clear()
        self.retained.clear()
        self.device.connect()

    def heal(self, condition, seconds):
        """Everything is delivered in order from now on; whether `condition()` holds in time."""
        for _ in range(2 * seconds):
            while self.up or self.down:
                if self.up:
                    self.to_agent(self.up.pop(0))
                if self.down:
                    self.device.hear(self.down.pop(0))
            if condition():
                return True
            self.wait(0.5, frames=3)
            self.device.heartbeat()
        return False
