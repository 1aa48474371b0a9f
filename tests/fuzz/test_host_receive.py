"""Any bytes on any topic: the host never fails, never hangs, and holds little."""

import contextlib
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moteye.clock import EventClock
from moteye.link import devices as devices_module
from moteye.link.devices import Devices
from moteye_protocol import models, wire
from moteye_protocol.codec import WireError, pack, unpack

# The same examples each time, however slow the machine is at it.
EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
SMALL = st.integers(-1, 12)
KEYS = sorted({key for model in models.MESSAGES.values() for key in model.model_fields})
IDS = st.sampled_from(["cam", "porch", "Not An Id", "", "_agent", "x" * 70])
PATHS = st.sampled_from([path for path, _, _, _ in wire.TOPICS.values()]) | st.text(max_size=10)


def likely(key: str) -> st.SearchStrategy:
    """Values that a message may well have under this key, and some that it may not."""
    hashes = st.sampled_from([bytes(8), b"another!"])
    rows = st.lists(st.lists(SMALL, min_size=3, max_size=3), max_size=18)
    known = {
        "v": st.just(1),
        "s": SMALL,
        "n": st.integers(0, 400),
        "t": st.none() | st.integers(0, 2**53),
        "up": st.integers(0, 2**40),
        "at": st.integers(0, 2**40),
        "state": st.sampled_from(["online", "offline", "stopped", "idle", "confirmed"]),
        "encoder": hashes,
        "set": st.none() | hashes,
        "dim": st.sampled_from(wire.SET_DIMS),
        "e": st.binary(min_size=256, max_size=256),
        "why": st.sampled_from(wire.REASON_VALUES),
        "rows": rows,
        "ops": st.lists(st.text(max_size=3), max_size=3),
        "format": st.just("rgb888"),
        "data": st.binary(min_size=1, max_size=20),
        "ok": st.booleans(),
        "frames": st.booleans(),
        "args": st.dictionaries(st.text(max_size=2), SMALL, max_size=2),
    }
    texts = {"fw", "set_version", "version", "code", "tid", "op", "text"}
    usual = known.get(key, st.sampled_from(["a", "ping"]) if key in texts else SMALL)
    return st.one_of(usual, usual, usual, usual, usual, usual, usual, VALUES)


@st.composite
def messages(draw):
    """(topic, payload): a message of a kind with values that may not fit, perhaps spoilt."""
    name = draw(st.sampled_from(sorted(models.MESSAGES)))
    keys = [*models.MESSAGES[name].model_fields, *draw(st.lists(st.sampled_from(KEYS), max_size=1))]
    payload = bytearray(pack({key: draw(likely(key)) for key in keys}))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 3]))):
        payload[draw(st.integers(0, len(payload) - 1))] = draw(st.integers(0, 255))
    return f"{wire.TOPIC_ROOT}/{draw(IDS)}/{wire.TOPICS[name][0]}", bytes(payload)


def receiver() -> Devices:
    async def nowhere(topic: str, payload: bytes) -> None:
        raise AssertionError("nothing is asked here")

    return Devices(nowhere, clock=EventClock(lambda: 5.0, lambda: 5.0))


def held_bits(devices: Devices) -> int:
    """How many numbers the widest window remembers."""
    return max(device.presence.window.seen.bit_length() for device in devices.all.values())


@EXAMPLES
@given(st.binary(max_size=300))
def test_unpack_gives_a_value_or_a_wire_error(payload):
    with contextlib.suppress(WireError):
        assert unpack(payload) is not Ellipsis


@EXAMPLES
@given(VALUES)
def test_what_is_packed_comes_back(value):
    assert unpack(pack(value)) == value


@EXAMPLES
@given(st.lists(st.tuples(messages(), st.booleans()), max_size=30))
def test_messages_of_all_kinds_are_taken_or_counted(heard):
    devices = receiver()
    for (topic, payload), retain in heard:
        taken = devices.receive(topic, payload, retain)
        assert taken is None or taken[0].id in devices.all
    assert sum(devices.counters.values()) <= 2 * len(heard)
    assert set(devices.all) <= {"cam", "porch"}


@EXAMPLES
@given(
    st.lists(st.tuples(IDS, PATHS, st.binary(max_size=200), st.booleans()), min_size=1, max_size=20)
)
def test_any_bytes_on_any_topic_are_counted(heard):
    devices = receiver()
    for device, path, payload, retain in heard:
        devices.receive(f"{wire.TOPIC_ROOT}/{device}/{path}", payload, retain)
        devices.receive(path, payload, retain)
    assert len(devices.counters) <= 2 * len(wire.TOPICS) + 4


def test_a_million_numbers_and_sessions_need_little_memory():
    devices = receiver()
    topic = models.topic("cam", "set_state")
    for number in range(20_000):
        state = models.SetState(
            s=number // 5000,
            n=number * 37 % 100_003,
            t=None,
            up=0,
            state="idle",
            set=None,
            version="",
            dim=64,
        )
        devices.receive(topic, models.encode(state), False)
    assert held_bits(devices) <= wire.SEQ_WINDOW


def test_devices_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(devices_module, "MAX_DEVICES", 100)
    devices = receiver()
    payload = models.encode(models.Status(s=1, state="online"))
    for number in range(1000):
        devices.receive(models.topic(f"d{number}", "status"), payload, False)
    assert len(devices.all) == 100
    assert devices.counters["status.too_many"] == 900


def test_the_alphabet_of_ids_is_that_of_the_wire():
    for char in string.printable:
        allowed = char in string.ascii_lowercase + string.digits
        devices = receiver()
        payload = models.encode(models.Status(s=1, state="online"))
        devices.receive(models.topic(char, "status"), payload, False)
        assert bool(devices.all) is allowed
