# What proves that a command or a prototype set comes from the owner (SPEC, "Keys"). A device has
# one key of its own, or two while the fleet changes its keys; without any, nothing is asked for.
import hashlib
import struct

from moteye_protocol.wire import SIGNING_ALGORITHMS

_BLOCK = 64
_MANIFEST = "<B32sI8sII8s"  # algorithm, sha256, size, encoder, epoch, number, base
_COMMAND_MAC = b"\xa3mac\xc4\x10"  # the last key of a signed command, and the head of its value
_COMMAND_MAC_BYTES = 16
_HMAC_SHA256 = SIGNING_ALGORITHMS.index("hmac-sha256") + 1


def hmac_sha256(key, *parts):
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


# Whether two strings of bytes are equal, in a time that does not tell where they differ.
def same(a, b):
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


# Whether the payload of a command ends with a MAC of one of the keys over all before it.
def command_is_signed(payload, keys):
    head = len(payload) - _COMMAND_MAC_BYTES - len(_COMMAND_MAC)
    if head < 1 or bytes(payload[head : head + len(_COMMAND_MAC)]) != _COMMAND_MAC:
        return False
    mac = payload[head + len(_COMMAND_MAC) :]
    for key in keys:
        wanted = hmac_sha256(key, b"moteye command 1\0", payload[:head])
        if same(wanted[:_COMMAND_MAC_BYTES], mac):
            return True
    return False


# (code, what is announced or None) of a manifest and its MAC: (sha256, size, encoder, epoch, base).
def read_manifest(manifest, mac, keys):
    if not isinstance(manifest, bytes) or len(manifest) != struct.calcsize(_MANIFEST):
        return "bad_argument", None
    algorithm, sha256, size, encoder, epoch, _, base = struct.unpack(_MANIFEST, manifest)
    if keys:
        if algorithm != _HMAC_SHA256 or not isinstance(mac, bytes):
            return "unsigned", None
        if not any(same(hmac_sha256(key, b"moteye set 1\0", manifest), mac) for key in keys):
            return "unsigned", None
    return "ok", (sha256, size, encoder, epoch, base)
