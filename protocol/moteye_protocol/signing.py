"""What proves to a device that a command or a prototype set comes from its owner.

Rules: `protocol/SPEC.md`, "Keys". Host only; a device checks with `device/firmware/signing.py`.
"""

import hashlib
import hmac
import struct

from moteye_protocol import wire

KEY_BYTES = 32
MANIFEST = struct.Struct("<B32sI8sII8s")
COMMAND_MAC = b"\xa3mac\xc4\x10"
COMMAND_MAC_BYTES = 16
_MAX_FIXMAP = 15


def device_key(fleet_key: bytes, device_id: str) -> bytes:
    """The key of one device; it tells nothing of the fleet's or of another device's."""
    return _mac(fleet_key, b"moteye device key 1\0" + device_id.encode())


def manifest(data: bytes, header: tuple[bytes, int, int], base: bytes | None) -> bytes:
    """What is signed of a set of these bytes: `header` is encoder hash, epoch and number.

    `base` is the hash of the set that a delta is for.
    """
    encoder, epoch, number = header
    algorithm = wire.SIGNING_ALGORITHMS.index("hmac-sha256") + 1
    digest = hashlib.sha256(data).digest()
    return MANIFEST.pack(algorithm, digest, len(data), encoder, epoch, number, base or bytes(8))


def sign_manifest(key: bytes, packed: bytes) -> bytes:
    """The MAC that goes beside a manifest."""
    return _mac(key, b"moteye set 1\0" + packed)


def sign_command(key: bytes, payload: bytes) -> bytes:
    """The payload of a command with one entry more, the last: a MAC over all before it."""
    count = payload[0] & 0x0F
    if payload[0] & 0xF0 != 0x80 or count == _MAX_FIXMAP:
        raise ValueError("a command is a map of at most 14 entries")
    signed = bytes([payload[0] + 1]) + payload[1:]
    return signed + COMMAND_MAC + _mac(key, b"moteye command 1\0" + signed)[:COMMAND_MAC_BYTES]


def command_is_signed(key: bytes, payload: bytes) -> bool:
    """Whether `sign_command` with this key gave these bytes."""
    size = len(COMMAND_MAC) + COMMAND_MAC_BYTES
    if len(payload) <= size or not 0x81 <= payload[0] <= 0x80 + _MAX_FIXMAP:
        return False
    plain = bytes([payload[0] - 1]) + payload[1:-size]
    return hmac.compare_digest(sign_command(key, plain), payload)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
