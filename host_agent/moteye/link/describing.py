"""Asking one device to say what it sees."""

import asyncio
import contextlib
from collections.abc import Callable

from moteye_protocol import models, wire

from moteye.errors import DeviceRefused, DeviceTimeout, LinkError
from moteye.link.connection import BrokerUrl
from moteye.link.devices import Devices
from moteye.link.running import running

KNOWN_S = 5.0  # a retained birth comes sooner
CAPTION_S = 60.0  # a frame, and a word of it between each two others
_TOPICS = ("status", "birth", "reply", "caption")


async def describe(
    url: BrokerUrl, device_id: str, key_of: Callable[[str], bytes] | None = None
) -> models.Caption:
    """The caption of the next frame that a device looks at.

    `key_of` gives the key that a command to a device is signed with, where the fleet has keys.

    Raises LinkError for a device that the broker does not know, that is not online or makes no
    captions, DeviceRefused, and DeviceTimeout where nothing comes.
    """
    said: asyncio.Queue[models.Caption] = asyncio.Queue()

    async def publish(topic: str, payload: bytes) -> None:
        await connection.publish(topic, payload)

    async def receive(topic: str, payload: bytes, retain: bool) -> None:
        taken = devices.receive(topic, payload, retain)
        if taken is not None and isinstance(taken[1], models.Caption):
            said.put_nowait(taken[1])

    devices = Devices(publish, key_of)
    subscriptions = [(models.topic(device_id, name), wire.TOPICS[name][2]) for name in _TOPICS]
    async with running(url, "describe", subscriptions, receive) as connection:
        await _until_known(devices, device_id)
        device = devices.all.get(device_id)
        if device is None or device.birth is None:
            raise LinkError(f"no device {device_id!r} on this broker: `moteye devices list`")
        if not device.online:
            raise LinkError(f"{device_id} is {device.presence.state}")
        if "describe" not in device.birth.ops:
            raise LinkError(
                f"{device_id} makes no captions: `captions: {{enabled: true}}` in its configuration"
            )
        try:
            await devices.request(device, "describe")
        except DeviceRefused as error:
            if error.code != "busy":  # somebody has asked just now: that caption is ours, too
                raise
        return await _asked_for(said, device_id)


async def _until_known(devices: Devices, device_id: str) -> None:
    """Wait until a device has said who it is and whether it is there, or the time is up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_S):
            while (device := devices.all.get(device_id)) is None or (
                device.birth is None or device.presence.session < 0
            ):
                devices.changed.clear()
                await devices.changed.wait()


async def _asked_for(said: "asyncio.Queue[models.Caption]", device_id: str) -> models.Caption:
    """The first caption that was asked for."""
    try:
        async with asyncio.timeout(CAPTION_S):
            while (caption := await said.get()).why != "asked":
                pass
            return caption
    except TimeoutError:
        raise DeviceTimeout(
            f"{device_id} said nothing within {CAPTION_S:.0f} s: does its camera give frames?"
        ) from None
