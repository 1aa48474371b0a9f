"""The codec over its vectors, and against the msgpack library."""

import contextlib
import json
import subprocess
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moteye_protocol import codec, quick, wire

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "protocol" / "vectors" / "codec.json").read_text())


def from_tagged(value: object) -> object:
    """JSON has no bytes: {"$bin": hex} stands for them."""
    if isinstance(value, dict):
        if set(value) == {"$bin"}:
            return bytes.fromhex(value["$bin"])
        return {key: from_tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_tagged(item) for item in value]
    return value


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["id"])
def test_valid_vector(vector):
    value = from_tagged(vector["value"])
    payload = bytes.fromhex(vector["hex"])
    assert codec.unpack(payload) == value
    if vector["canonical"]:
        assert codec.pack(value) == payload


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["id"])
def test_invalid_vector(vector):
    with pytest.raises(codec.WireError) as caught:
        codec.unpack(bytes.fromhex(vector["hex"]))
    assert caught.value.reason.startswith(vector["reason"])
    assert caught.value.offset == vector["offset"]


def test_vectors_have_as_many_invalid_as_valid():
    assert len(VECTORS["invalid"]) >= len(VECTORS["valid"])


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=300)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=20)
    ),
    max_leaves=20,
).filter(lambda value: depth_of(value) <= wire.MAX_DEPTH)


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max([0, *map(depth_of, value.values())])
    if isinstance(value, list):
        return 1 + max([0, *map(depth_of, value)])
    return 0


@given(VALUES)
def test_pack_equals_the_msgpack_library(value):
    packed = codec.pack(value)
    assert packed == msgpack.packb(value, use_bin_type=True)
    assert codec.unpack(packed) == value


def word(unpack, payload: bytes) -> tuple[str, object]:
    """What a reader makes of a payload, types and all."""
    try:
        return "value", repr(unpack(payload))
    except codec.WireError as error:
        return "error", (error.reason, error.offset)


@given(VALUES | st.dictionaries(st.text(max_size=8), SCALARS), st.data())
def test_the_quick_reader_says_what_the_codec_says(value, data):
    packed = codec.pack(value)
    assert word(quick.unpack, packed) == word(codec.unpack, packed)
    at = data.draw(st.integers(0, len(packed) - 1))
    broken = packed[:at] + data.draw(st.binary(max_size=3)) + packed[at + 1 :]
    assert word(quick.unpack, broken) == word(codec.unpack, broken)


@pytest.mark.parametrize("vector", VECTORS["valid"] + VECTORS["invalid"], ids=lambda v: v["id"])
def test_the_quick_reader_agrees_on_every_vector(vector):
    payload = bytes.fromhex(vector["hex"])
    assert word(quick.unpack, payload) == word(codec.unpack, payload)


@given(st.binary(max_size=200))
def test_unpack_raises_nothing_but_wire_error(payload):
    with contextlib.suppress(codec.WireError):
        codec.unpack(payload)


def test_pack_refuses_what_the_wire_does_not_carry():
    for value in ({1: 2}, {"a": object()}, 2**64, [0] * (wire.MAX_ITEMS + 1), [[[[[[[[0]]]]]]]]):
        with pytest.raises(codec.WireError):
            codec.pack(value)


def test_micropython_agrees_on_every_vector():
    done = subprocess.run(
        [
            ROOT / "build/firmware/unix/micropython",
            Path(__file__).parent / "codec_vectors.py",
            ROOT / "protocol/vectors/codec.json",
        ],
        env={"MICROPYPATH": f"{ROOT}/protocol:.frozen"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    count = len(VECTORS["valid"]) + len(VECTORS["invalid"])
    assert done.stdout.strip() == f"{count} vectors", done.stdout + done.stderr
