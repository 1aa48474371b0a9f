"""Every message of the wire as a pydantic model: what a host accepts and sends.

`parse(topic_name, payload)` is the only way in: it raises `MessageError` with the code of
SPEC.md and never anything else, whatever the bytes. `encode(message)` is the way out.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from moteye_protocol import wire
from moteye_protocol.boxes import unpack_boxes
from moteye_protocol.codec import WireError, pack
from moteye_protocol.quick import unpack

Counter = Annotated[int, Field(ge=0, lt=1 << 53)]
Hash8 = Annotated[bytes, Field(min_length=8, max_length=8)]
_DEVICE_ID = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{wire.MAX_DEVICE_ID_CHARS - 1}}}")
Code = Annotated[str, StringConstraints(max_length=32)]
TransactionId = Annotated[str, StringConstraints(min_length=1, max_length=32)]


class MessageError(ValueError):
    """A payload that is not a message of its topic.

    `code` is one of SPEC.md, `where` a key or a byte.
    """

    def __init__(self, code: str, where: str, reason: str) -> None:
        super().__init__(f"{code} at {where}: {reason}")
        self.code = code
        self.where = where
        self.reason = reason


class Message(BaseModel):
    """Unknown keys are ignored: a newer peer may add some."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    topic: ClassVar[str]
    v: Literal[1] = wire.VERSION  # type: ignore[assignment]


class Status(Message):
    """Presence; also the will."""

    topic = "status"
    s: Counter
    state: Literal["online", "offline", "stopped", "sleeping"]


class DeviceMessage(Message):
    """The envelope: session, sequence number, unix ms if known, ms since start."""

    s: Counter
    n: Counter
    t: Counter | None
    up: Counter


class Birth(DeviceMessage):
    """Who a device is. Sent retained at every connect.

    `keys`: how many it checks with. `reset`: why it started (watchdog, power, …); `stage`: where
    the run before stood still; both "" where the device does not say.
    """

    topic = "birth"
    fw: str
    encoder: Hash8
    dim: Literal[16, 32, 64, 128, 256]
    width: Annotated[int, Field(ge=0, le=8192)]
    height: Annotated[int, Field(ge=0, le=8192)]
    set: Hash8 | None
    set_version: str
    frames: bool
    max_set: Counter
    keys: Counter = 0
    ops: list[str]
    interval: Counter
    reset: Annotated[str, StringConstraints(max_length=32)] = ""
    stage: Annotated[str, StringConstraints(max_length=32)] = ""
    captions: Hash8 | None = None


def _boxes(data: bytes) -> bytes:
    if len(unpack_boxes(data)) > wire.MAX_BOXES:
        raise ValueError(f"more than {wire.MAX_BOXES} boxes")
    return data


class Embedding(DeviceMessage):
    """`e` int8[256] as bytes.

    `at` = `up` when the frame was taken; `sim` similarity to the last x 256; `colour` percent, 0
    for a grey picture, None where the device does not say. `boxes`: see `moteye_protocol.boxes`;
    None where the encoder gives no positions, or no set is in use.
    """

    topic = "embedding"
    frame: Counter
    at: Counter
    encoder: Hash8
    set: Hash8 | None
    e: Annotated[bytes, Field(min_length=256, max_length=256)]
    why: Literal["first", "change", "settle", "heartbeat"]
    sim: Annotated[int, Field(ge=-256, le=256)]
    colour: Annotated[int, Field(ge=0, le=100)] | None = None
    boxes: Annotated[bytes, AfterValidator(_boxes)] | None = None


Row = Annotated[list[Annotated[int, Field(ge=-32768, le=65535)]], Field(min_length=3, max_length=3)]


class Detections(DeviceMessage):
    """`rows` are [row, margin_q8, prob_q8], best first."""

    topic = "detections"
    frame: Counter
    at: Counter
    set: Hash8
    dim: Literal[16, 32, 64, 128, 256]
    rows: Annotated[list[Row], Field(max_length=16)]


def _caption_text(text: str) -> str:
    if len(text.encode()) > wire.MAX_CAPTION_BYTES:
        raise ValueError(f"more than {wire.MAX_CAPTION_BYTES} bytes in UTF-8")
    return text


class Caption(DeviceMessage):
    """A frame in words. `tokens` number the words in the list of the caption pack `model`.

    `logp` is the natural logarithm of the sentence's probability x 1024.
    """

    topic = "caption"
    frame: Counter
    at: Counter
    text: Annotated[str, AfterValidator(_caption_text)]
    tokens: Annotated[list[Annotated[int, Field(ge=0, le=65535)]], Field(max_length=64)]
    logp: Annotated[int, Field(ge=-(1 << 31), le=1024)]
    model: Hash8
    why: Literal["asked", "change", "time"]


class FrameChunk(DeviceMessage):
    """One piece of an RGB888 picture of `w` x `h`; `crc` covers the whole."""

    topic = "frame"
    frame: Counter
    at: Counter
    i: Counter
    total: Annotated[int, Field(ge=1, le=wire.MAX_FRAME_BYTES // wire.CHUNK_BYTES)]
    w: Annotated[int, Field(ge=1, le=8192)]
    h: Annotated[int, Field(ge=1, le=8192)]
    format: Literal["rgb888"]
    crc: Annotated[int, Field(ge=0, lt=1 << 32)]
    data: Annotated[bytes, Field(min_length=1, max_length=wire.CHUNK_BYTES)]


class Reply(DeviceMessage):
    """Answer to the command with the same `tid`; `chunks`, `have`, `missing` after `set.begin`."""

    topic = "reply"
    tid: TransactionId
    ok: bool
    code: Code
    chunks: Counter | None = None
    have: bool | None = None
    missing: Annotated[list[Counter], Field(max_length=wire.MAX_ITEMS)] | None = None


class SetState(DeviceMessage):
    """The prototype set in use, and where a swap stands.

    `floor` is the highest epoch that was ever confirmed; no set of a lower one is used.
    """

    topic = "set_state"
    state: Literal["idle", "receiving", "verified", "trial", "confirmed", "refused", "reverted"]
    set: Hash8 | None
    version: str
    dim: int
    got: Counter = 0
    of: Counter = 0
    code: Code = "ok"
    kept: bool = True
    floor: Counter = 0


class Command(Message):
    """A request to a device; `s` is the session it is meant for, `issued` unix ms, `ttl` ms."""

    topic = "command"
    tid: TransactionId
    s: Counter | None
    issued: Counter
    ttl: Counter = wire.COMMAND_TTL_MS
    op: str
    args: dict[str, Any] = Field(default_factory=dict)


class SetChunk(Message):
    """One piece of the prototype set whose hash is `set`."""

    topic = "set_chunk"
    set: Hash8
    i: Counter
    data: Annotated[bytes, Field(min_length=1, max_length=wire.CHUNK_BYTES)]


MESSAGES: dict[str, type[Message]] = {
    model.topic: model
    for model in (
        Status,
        Birth,
        Embedding,
        Detections,
        Caption,
        FrameChunk,
        Reply,
        SetState,
        Command,
        SetChunk,
    )
}
_NAME_OF_PATH = {path: name for name, (path, _, _, _) in wire.TOPICS.items()}


def topic(device: str, name: str) -> str:
    """Full topic of the message kind `name` of `device`; `+` for all devices."""
    return f"{wire.TOPIC_ROOT}/{device}/{wire.TOPICS[name][0]}"


@lru_cache(maxsize=16384)
def split_topic(full: str) -> tuple[str, str]:
    """(device, message kind) of a full topic. Raises MessageError for any other topic."""
    rest = full.removeprefix(wire.TOPIC_ROOT + "/")
    device, _, path = rest.partition("/")
    if rest == full or path not in _NAME_OF_PATH or not _DEVICE_ID.fullmatch(device):
        raise MessageError("malformed", full, "not a topic of this wire")
    return device, _NAME_OF_PATH[path]


def encode(message: Message) -> bytes:
    """The payload of a message."""
    return pack(message.model_dump())


def parse(name: str, payload: bytes) -> Message:
    """The message of kind `name` in `payload`. Raises MessageError, and nothing else."""
    if len(payload) > wire.MAX_PAYLOAD_BYTES:
        raise MessageError("malformed", "payload", f"{len(payload)} bytes are too many")
    try:
        value = unpack(payload)
    except WireError as error:
        raise MessageError("malformed", f"byte {error.offset}", error.reason) from error
    if not isinstance(value, dict):
        raise MessageError("malformed", "byte 0", "not a map")
    if value.get("v") != wire.VERSION:
        raise MessageError("version", "v", f"{value.get('v')!r} instead of {wire.VERSION}")
    try:
        return MESSAGES[name].model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError("malformed", where, first["msg"]) from error
