import pytest
from hypothesis import given
from hypothesis import strategies as st
from moteye_protocol import models, wire
from moteye_protocol.codec import pack

HASH = b"12345678"
ENVELOPE = {"s": 3, "n": 7, "t": None, "up": 1234}
EXAMPLES = [
    models.Status(s=1, state="online"),
    models.Birth(
        **ENVELOPE,
        fw="0.1.0",
        encoder=HASH,
        dim=64,
        width=320,
        height=240,
        set=None,
        set_version="",
        frames=False,
        max_set=65536,
        ops=["ping"],
        interval=500,
    ),
    models.Embedding(
        **ENVELOPE, frame=9, at=1200, encoder=HASH, set=HASH, e=bytes(256), why="change", sim=-3
    ),
    models.Detections(**ENVELOPE, frame=9, at=1200, set=HASH, dim=64, rows=[[0, -300, 80]]),
    models.FrameChunk(
        **ENVELOPE, frame=9, at=1, i=0, total=1, w=1, h=1, format="rgb888", crc=0, data=b"abc"
    ),
    models.Reply(**ENVELOPE, tid="a", ok=True, code="ok"),
    models.SetState(**ENVELOPE, state="idle", set=None, version="", dim=64),
    models.Command(tid="a", s=None, issued=1, op="ping"),
    models.SetChunk(set=HASH, i=0, data=b"x"),
    models.Caption(
        **ENVELOPE, frame=1, at=1, text="a cat", tokens=[2, 9], logp=-900, model=HASH, why="asked"
    ),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: m.topic)
def test_message_survives_the_wire(message):
    assert models.parse(message.topic, models.encode(message)) == message


def test_every_topic_has_a_model():
    assert set(models.MESSAGES) == set(wire.TOPICS)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: m.topic)
def test_unknown_keys_are_ignored(message):
    payload = pack({**message.model_dump(), "later": 1})
    assert models.parse(message.topic, payload) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: m.topic)
def test_each_missing_or_wrong_key_is_malformed(message):
    whole = message.model_dump()
    optional = {
        name for name, field in type(message).model_fields.items() if not field.is_required()
    }
    for key in whole:
        less = {name: value for name, value in whole.items() if name != key}
        if key not in optional:
            with pytest.raises(models.MessageError) as caught:
                models.parse(message.topic, pack(less))
            assert caught.value.code == "malformed"
        with pytest.raises(models.MessageError):
            models.parse(message.topic, pack({**whole, key: [[]]}))


def test_another_version_is_named():
    with pytest.raises(models.MessageError) as caught:
        models.parse("status", pack({"v": 2, "s": 1, "state": "online"}))
    assert caught.value.code == "version"


@given(st.sampled_from(sorted(models.MESSAGES)), st.binary(max_size=120))
def test_parse_raises_nothing_but_message_error(name, payload):
    with pytest.raises(models.MessageError):
        models.parse(name, payload)


def test_topics_are_few_and_carry_no_class():
    assert len(wire.TOPICS) <= 12
    assert models.split_topic(models.topic("porch-1", "set_state")) == ("porch-1", "set_state")
    for wrong in ("moteye/v1/porch/other", "moteye/v2/porch/birth", "moteye/v1/Porch/birth", "x"):
        with pytest.raises(models.MessageError):
            models.split_topic(wrong)
