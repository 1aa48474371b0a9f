"""MQTT packets: bytes to packets in any fragments (T09), at every length boundary (T10)."""

import contextlib
import random
from dataclasses import dataclass

import mqtt_packets as packets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MAX_PAYLOAD = 4096
BOUNDARIES = [0, 1, 126, 127, 128, 129, 4095, 4096]


@dataclass(frozen=True)
class Seen:
    kind: int
    topic: str | None
    payload: bytes | None
    size: int
    qos: int
    dup: bool
    retain: bool
    pid: int
    code: int
    codes: bytes | None


def read_all(data, sizes=None, max_payload=MAX_PAYLOAD):
    """All packets of a byte stream that is read in pieces of the given sizes."""
    parser = packets.Parser(max_payload)
    found = []
    at = 0
    while at < len(data):
        view = parser.want()
        assert len(view) > 0
        count = min(len(view), len(data) - at, sizes() if sizes else len(view))
        view[:count] = data[at : at + count]
        at += count
        packet = parser.took(count)
        if packet is not None:
            payload = None if packet.payload is None else bytes(packet.payload)
            found.append(
                Seen(
                    packet.kind,
                    packet.topic,
                    payload,
                    packet.size,
                    packet.qos,
                    packet.dup,
                    packet.retain,
                    packet.pid,
                    packet.code,
                    packet.codes,
                )
            )
    return found


def publish(topic, payload, **flags):
    return bytes(packets.publish_head(topic, len(payload), **flags)) + payload


@pytest.mark.parametrize("size", BOUNDARIES)
def test_t10_publish_payload_at_boundary_round_trips(size):
    payload = random.Random(size).randbytes(size)
    [seen] = read_all(publish("a/b", payload, qos=1, pid=7))
    assert (seen.topic, seen.payload, seen.size, seen.pid) == ("a/b", payload, size, 7)


@pytest.mark.parametrize("remaining", [127, 128, 16383, 16384, 2097151, 2097152])
def test_t10_remaining_length_boundary_is_written_in_fewest_bytes(remaining):
    head = packets.publish_head("a/b", remaining - 5)
    digits = bytes(head[1:-5])
    value = sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(digits))
    assert value == remaining
    assert len(digits) == (remaining.bit_length() + 6) // 7


@pytest.mark.parametrize("remaining", [127, 128, 16383, 16384, 2097151, 2097152])
@pytest.mark.parametrize("qos", [0, 1])
def test_t10_remaining_length_boundary_is_read_back(remaining, qos):
    payload = bytes(remaining - 5 - 2 * qos)
    data = publish("a/b", payload, qos=qos, pid=9) + publish("c", b"after")
    big, after = read_all(data, max_payload=1 << 22)
    assert (big.size, big.payload, big.pid) == (len(payload), payload, 9 * qos)
    assert (after.topic, after.payload) == ("c", b"after")


@pytest.mark.parametrize("size", [4097, 5000, 16383, 16384, 100_000])
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("topic", ["t", "moteye/v1/cam1/cmd", "x" * 5000])
def test_t10_payload_over_limit_is_skipped_and_reported(size, qos, topic):
    data = publish(topic, bytes(size), qos=qos, pid=65535) + packets.puback(3)
    big, after = read_all(data)
    assert (big.kind, big.payload, big.topic) == (packets.PUBLISH, None, None)
    assert (big.size, big.pid) == (size, 65535 * qos)
    assert (after.kind, after.pid) == (packets.PUBACK, 3)


@settings(max_examples=200, deadline=None)
@given(
    messages=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
            st.binary(max_size=300) | st.just(bytes(4096)) | st.just(bytes(4200)),
            st.integers(0, 1),
            st.booleans(),
            st.booleans(),
            st.integers(1, 65535),
        ),
        min_size=1,
        max_size=5,
    ),
    longest=st.sampled_from([1, 2, 3, 7, 100, 5000]),
    seed=st.integers(0, 2**32),
)
def test_t09_any_fragments_give_equal_messages(messages, longest, seed):
    data = b"".join(
        publish(topic, payload, qos=qos, dup=dup, retain=retain, pid=pid)
        for topic, payload, qos, dup, retain, pid in messages
    )
    choose = random.Random(seed)
    seen = read_all(data, lambda: choose.randint(1, longest))
    assert len(seen) == len(messages)
    for found, (topic, payload, qos, dup, retain, pid) in zip(seen, messages, strict=True):
        assert (found.qos, found.dup, found.retain, found.pid) == (qos, dup, retain, pid * qos)
        assert found.size == len(payload)
        if len(payload) <= MAX_PAYLOAD:
            assert (found.topic, found.payload) == (topic, payload)
        else:
            assert found.payload is None


@settings(max_examples=500, deadline=None)
@given(data=st.binary(min_size=1, max_size=200), longest=st.integers(1, 50))
def test_t09_any_bytes_give_packets_or_mqtt_error(data, longest):
    choose = random.Random(1)
    with contextlib.suppress(packets.MqttError):
        read_all(data, lambda: choose.randint(1, longest))


def test_t07_retain_flag_is_exposed():
    live, kept = read_all(publish("a", b"x") + publish("a", b"x", retain=True))
    assert (live.retain, kept.retain) == (False, True)


@pytest.mark.parametrize(
    ("data", "kind", "field", "value"),
    [
        (b"\x20\x02\x00\x00", packets.CONNACK, "code", 0),
        (b"\x20\x02\x01\x05", packets.CONNACK, "code", 5),
        (b"\x40\x02\x12\x34", packets.PUBACK, "pid", 0x1234),
        (b"\x90\x05\x00\x01\x01\x80\x00", packets.SUBACK, "codes", b"\x01\x80\x00"),
        (b"\xd0\x00", packets.PINGRESP, "qos", 0),
    ],
)
def test_control_packet_is_read(data, kind, field, value):
    [seen] = read_all(data)
    assert seen.kind == kind
    assert getattr(seen, field) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x00", "kind 0"),
        (b"\x10\x00", "CONNECT from a broker"),
        (b"\x50\x02\x00\x01", "PUBREC, though nothing of QoS 2 was sent"),
        (b"\x34\x05\x00\x01a\x00\x01", "PUBLISH of QoS 2"),
        (b"\x36\x05\x00\x01a\x00\x01", "PUBLISH of QoS 3"),
        (b"\x41\x02\x00\x01", "flags of PUBACK"),
        (b"\x40\x02\x00\x00", "packet id 0"),
        (b"\x40\x03\x00\x01\x00", "PUBACK of three bytes"),
        (b"\x20\x01\x00", "CONNACK of one byte"),
        (b"\xd0\x01\x00", "PINGRESP with a body"),
        (b"\x90\x02\x00\x01", "SUBACK without a code"),
        (b"\x30\x00", "PUBLISH without a topic length"),
        (b"\x30\x01\x00", "PUBLISH with half a topic length"),
        (b"\x30\x03\x00\x05a", "topic longer than the packet"),
        (b"\x32\x03\x00\x01a", "no room for a packet id"),
        (b"\x32\x05\x00\x01a\x00\x00", "PUBLISH with packet id 0"),
        (b"\x30\x03\x00\x01\xff", "topic that is not UTF-8"),
        (b"\x30\xff\xff\xff\xff\x01", "remaining length of five bytes"),
        (b"\x90\xff\xff\xff\x7f", "SUBACK of 256 MB"),
        (b"\x32\x80\x80\x01\xff\xff", "large PUBLISH whose topic is longer than itself"),
    ],
)
def test_malformed_packet_is_refused(data, why):
    with pytest.raises(packets.MqttError):
        read_all(data)


def test_connect_has_clean_session_and_retained_will():
    data = bytes(packets.connect("cam1", 60, "w/t", b"gone", "me", "secret"))
    assert data[:2] == bytes((0x10, len(data) - 2))
    assert data[2:9] == b"\x00\x04MQTT\x04"
    assert data[9] == 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02
    assert data[10:12] == b"\x00\x3c"
    assert data[12:] == b"\x00\x04cam1\x00\x03w/t\x00\x04gone\x00\x02me\x00\x06secret"


def test_connect_without_user_has_no_user_flags():
    data = bytes(packets.connect("cam1", 60, "w", b""))
    assert data[9] == 0x20 | 0x08 | 0x04 | 0x02
    assert data.endswith(b"\x00\x01w\x00\x00")


def test_subscribe_lists_filters_with_qos():
    assert bytes(packets.subscribe(258, [("a", 1), ("b", 0)])) == (
        b"\x82\x0a\x01\x02\x00\x01a\x01\x00\x01b\x00"
    )
