"""What the host signs the device accepts, and nothing else; a command is done once."""

import hashlib
import hmac

import pytest
from commands import Commands
from moteye.link.swap import begin_arguments
from moteye_protocol.codec import pack
from moteye_protocol.prototype_set import header_of
from moteye_protocol.signing import device_key, manifest, sign_command, sign_manifest
from signing import command_is_signed, hmac_sha256, read_manifest, same
from support.sets import random_set

FLEET = bytes(range(32))
KEY = device_key(FLEET, "cam")
OTHER = device_key(FLEET, "cam2")
NOW_MS = 1_800_000_000_000
SESSION = 7
DATA = random_set(3, 64, 1).encode()


@pytest.mark.parametrize("size", [0, 1, 32, 63, 64, 65, 200])
def test_hmac_is_the_standard_one(size):
    key = bytes(range(size))
    for message in (b"", b"x", bytes(1000)):
        wanted = hmac.new(key, message, hashlib.sha256).digest()
        assert hmac_sha256(key, message[:3], message[3:]) == wanted


def test_same():
    assert same(b"abc", memoryview(b"abc"))
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")


def test_device_keys_differ_and_do_not_tell_the_fleet_key():
    assert len({KEY, OTHER, device_key(bytes(32), "cam")}) == 3
    assert FLEET not in (KEY, OTHER)


def command(**changes):
    fields = {"v": 1, "tid": "t1", "s": SESSION, "issued": NOW_MS, "ttl": 1000, "op": "ping"}
    return pack({**fields, **changes})


def test_signed_command_is_known_by_either_key_and_any_change_is_noticed():
    payload = sign_command(KEY, command())
    assert command_is_signed(memoryview(payload), (OTHER, KEY))
    assert not command_is_signed(payload, (OTHER,))
    for index in range(len(payload)):
        damaged = bytearray(payload)
        damaged[index] ^= 1
        assert not command_is_signed(bytes(damaged), (KEY,))
        assert not command_is_signed(payload[:index], (KEY,))


class Host:
    def __init__(self, keys=(KEY,)):
        self.replies = []
        self.done = 0
        operations = {"ping": self.ping}
        self.commands = Commands(SESSION, operations, self.replies.append, lambda: NOW_MS, keys)

    def ping(self, args):
        self.done += 1
        return "ok", {}

    def send(self, payload):
        self.commands.take(payload, False)
        return self.replies[-1]["code"]


@pytest.mark.parametrize("payload", [command(), sign_command(OTHER, command()), command(mac=b"x")])
def test_command_that_is_not_signed_is_refused(payload):
    host = Host()
    assert host.send(payload) == "unsigned"
    assert host.send(sign_command(KEY, command())) == "ok"
    assert host.done == 1


def test_device_without_a_key_takes_both():
    host = Host(keys=())
    assert host.send(command()) == "ok"
    assert host.send(sign_command(KEY, command(tid="t2"))) == "ok"


@pytest.mark.parametrize("session", [None, SESSION - 1])
def test_signed_command_of_no_or_another_session_is_refused(session):
    assert Host().send(sign_command(KEY, command(s=session))) == "stale_session"


def test_t08_signed_command_is_refused_when_it_is_late():
    host = Host()
    assert host.send(sign_command(KEY, command(issued=NOW_MS - 1001))) == "expired"
    assert host.done == 0


def test_recorded_command_is_not_done_again_however_late():
    host = Host()
    recorded = [sign_command(KEY, command(tid=f"t{i}", issued=NOW_MS - 99 + i)) for i in range(40)]
    for payload in recorded:
        assert host.send(payload) == "ok"
    for payload in recorded:
        host.send(payload)
    assert host.done == 40
    assert {reply["code"] for reply in host.replies[40:]} == {"ok", "replayed"}


def signed(key=KEY, **changes):
    arguments = begin_arguments(DATA, key=key)
    return read_manifest(*{**arguments, **changes}.values(), (OTHER, KEY))


def test_manifest_is_read():
    code, (sha256, size, encoder, epoch, base) = signed()
    assert (code, sha256, size) == ("ok", hashlib.sha256(DATA).digest(), len(DATA))
    assert (encoder, epoch, base) == (*header_of(DATA)[:2], bytes(8))


def test_manifest_with_any_change_is_refused():
    packed = manifest(DATA, header_of(DATA), None)
    mac = sign_manifest(KEY, packed)
    for index in range(len(packed)):
        damaged = bytearray(packed)
        damaged[index] ^= 1
        assert read_manifest(bytes(damaged), mac, (KEY,)) == ("unsigned", None)
    for wrong in (None, b"", mac[:-1], bytes(32)):
        assert read_manifest(packed, wrong, (KEY,)) == ("unsigned", None)
    assert read_manifest(packed[:-1], mac, (KEY,)) == ("bad_argument", None)
    assert read_manifest(packed, None, ())[0] == "ok"


def test_manifest_of_another_device_is_refused():
    packed = manifest(DATA, header_of(DATA), None)
    assert read_manifest(packed, sign_manifest(OTHER, packed), (KEY,))[0] == "unsigned"
