"""Which commands are refused, with which code; each is done once."""

import pytest
from commands import Commands
from moteye_protocol.codec import pack

NOW_MS = 1_800_000_000_000
SESSION = 7


class Host:
    def __init__(self, now_ms=NOW_MS):
        self.replies = []
        self.done = []
        self.commands = Commands(
            SESSION, {"ping": self.ping, "crash": self.crash}, self.replies.append, lambda: now_ms
        )

    def ping(self, args):
        self.done.append(args)
        return "ok", {"number": len(self.done)}

    def crash(self, args):
        raise RuntimeError("broken")

    def send(self, *, retain=False, **changes):
        command = {"v": 1, "tid": "t1", "s": None, "issued": NOW_MS, "ttl": 1000, "op": "ping"}
        command.update(changes)
        self.raw(pack({key: value for key, value in command.items() if value is not ...}), retain)
        return self.replies[-1]["code"] if self.replies else None

    def raw(self, payload, retain=False):
        self.commands.take(payload, retain)


def test_command_is_done_and_answered():
    host = Host()
    assert host.send(args={"a": 1}) == "ok"
    assert host.done == [{"a": 1}]
    assert host.replies == [{"tid": "t1", "ok": True, "code": "ok", "number": 1}]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "version"),
        ({"s": SESSION}, "ok"),
        ({"s": SESSION - 1}, "stale_session"),
        ({"s": "7"}, "malformed"),
        ({"issued": NOW_MS - 1000}, "ok"),
        ({"issued": NOW_MS - 1001}, "expired"),
        ({"issued": NOW_MS + 5000}, "ok"),
        ({"issued": ...}, "malformed"),
        ({"issued": None}, "malformed"),
        ({"ttl": "long"}, "malformed"),
        ({"ttl": ..., "issued": NOW_MS - 9999}, "ok"),
        ({"ttl": ..., "issued": NOW_MS - 10001}, "expired"),
        ({"args": [1]}, "malformed"),
        ({"op": 3}, "malformed"),
        ({"op": "reboot"}, "unknown_operation"),
        ({"op": "crash"}, "internal"),
    ],
)
def test_t08_command_is_judged(changes, code):
    host = Host()
    assert host.send(**changes) == code
    assert bool(host.done) == (code == "ok")


def test_t08_device_without_clock_does_not_judge_age():
    assert Host(now_ms=None).send(issued=0) == "ok"


def test_t07_retained_command_is_refused_and_not_done():
    host = Host()
    assert host.send(retain=True) == "retained"
    assert host.done == []


def test_t06_same_tid_gets_same_answer_and_is_not_done_twice():
    host = Host()
    for _ in range(3):
        host.send()
    assert len(host.done) == 1
    assert host.replies == [host.replies[0]] * 3


def test_last_sixteen_answers_are_remembered():
    host = Host()
    for number in range(17):
        host.send(tid=f"t{number}")
    host.send(tid="t1")
    assert len(host.done) == 17
    host.send(tid="t0")
    assert len(host.done) == 18


@pytest.mark.parametrize(
    "payload",
    [None, b"\xc1", pack([1]), pack({"v": 1}), pack({"tid": ""}), pack({"tid": "x" * 33}), b"\x81"],
)
def test_payload_without_tid_is_counted(payload):
    host = Host()
    host.raw(payload)
    assert host.replies == []
    assert host.commands.malformed == 1


def test_empty_payload_clears_a_topic_and_is_nothing():
    host = Host()
    host.raw(b"")
    assert (host.replies, host.commands.malformed) == ([], 0)
