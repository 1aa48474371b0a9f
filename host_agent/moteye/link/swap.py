"""Bringing a prototype set onto a device."""

import asyncio
import hashlib
from typing import Any

import structlog
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import header_of, set_hash
from moteye_protocol.set_delta import encode_delta
from moteye_protocol.signing import manifest, sign_manifest

from moteye.errors import DeviceRefused, DeviceTimeout
from moteye.link.devices import Device, Devices, Publish

log = structlog.get_logger("moteye.swap")
CONFIRM_TIMEOUT_S = 45.0  # a trial may take 30 s by itself


async def swap(
    devices: Devices, publish: Publish, device: Device, data: bytes, base: bytes | None = None
) -> None:
    """Send `data` and wait until the device says that it uses it.

    `base` is the set in use, where it is known: a delta goes out instead when that is smaller.

    Raises DeviceRefused with the device's code, DeviceTimeout when it never says, LinkError
    without a broker.
    """
    name = set_hash(data)
    before, session = device.set_state, device.presence.session
    reply = await _begin_with_delta(devices, device, data, base)
    if reply is None:
        arguments = begin_arguments(data, key=devices.key(device))
        reply = await devices.request(device, "set.begin", **arguments)
    if reply.have:
        return
    for index in _missing(reply, len(data)):
        start = index * wire.CHUNK_BYTES
        chunk = models.SetChunk(set=name, i=index, data=data[start : start + wire.CHUNK_BYTES])
        await publish(models.topic(device.id, "set_chunk"), models.encode(chunk))
    try:
        async with asyncio.timeout(CONFIRM_TIMEOUT_S):
            while not _is_confirmed(device, before, name):
                if device.presence.session != session:
                    raise DeviceTimeout(f"{device.id} restarted in the middle of a swap")
                device.changed.clear()
                await device.changed.wait()
    except TimeoutError as error:
        raise DeviceTimeout(
            f"{device.id} did not confirm set {name.hex()} within {CONFIRM_TIMEOUT_S:.0f} s"
        ) from error


async def _begin_with_delta(
    devices: Devices, device: Device, data: bytes, base: bytes | None
) -> models.Reply | None:
    """The reply to a `set.begin` that carries a delta; None where the whole set has to go."""
    delta = smaller_delta(base, data) if base is not None else None
    if base is None or delta is None:
        return None
    try:
        arguments = begin_arguments(data, base=base, delta=delta, key=devices.key(device))
        return await devices.request(device, "set.begin", **arguments)
    except DeviceRefused as error:
        if error.code not in ("wrong_base", "bad_delta"):
            raise
        log.warning("delta refused, the whole set goes", device=device.id, code=error.code)
        return None


def begin_arguments(
    data: bytes,
    *,
    base: bytes | None = None,
    delta: bytes | None = None,
    key: bytes | None = None,
) -> dict[str, Any]:
    """What `set.begin` says of a set: signed with `key`, or plain; with a delta from `base`."""
    name = set_hash(base) if base is not None and delta is not None else None
    changes = {} if delta is None else {"delta": delta}
    if key is not None:
        packed = manifest(data, header_of(data), name)
        return {"manifest": packed, "mac": sign_manifest(key, packed), **changes}
    plain: dict[str, Any] = {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    return plain if name is None else {**plain, "base": name, **changes}


def smaller_delta(base: bytes, data: bytes) -> bytes | None:
    """The delta from `base` to `data`, where it is smaller and fits into one command."""
    delta = encode_delta(base, data)
    if delta is None or len(delta) > wire.MAX_DELTA_BYTES or len(delta) >= len(data):
        return None
    return delta


def _missing(reply: models.Reply, size: int) -> list[int]:
    """The chunks to send: those the device asks for; all, where it does not say (T31)."""
    count = -(-size // wire.CHUNK_BYTES)
    if reply.missing is None:
        return list(range(count))
    return [index for index in reply.missing if index < count]


def _is_confirmed(device: Device, before: models.SetState | None, name: bytes) -> bool:
    """Whether the device has said since `before` that it uses the set.

    Raises DeviceRefused if it says no.
    """
    state = device.set_state
    if state is None or state is before:
        return False
    if state.state in ("refused", "reverted"):
        raise DeviceRefused(device.id, "the prototype set", state.code)
    return state.state == "confirmed" and state.set == name
