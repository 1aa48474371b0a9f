"""The tables. One schema for SQLite and PostgreSQL.

A table, or a column with a default, may be added: a store gets it when it is opened. `VERSION`
grows when old rows could not be read any more.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

VERSION = 1
# Of an older version: found by prefix, ids never used it, and each row cost it a page of its own.
DROPPED_INDICES = ("decisions_id",)
metadata = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String))

tracks = Table(
    "tracks",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("device", String, primary_key=True),
    Column("state", Text, nullable=False),
    sqlite_with_rowid=False,
)

memories = Table(
    "memories",
    metadata,
    Column("memory", String, primary_key=True),  # CompiledPolicy.memory
    Column("place", String, primary_key=True),  # a device, or * for all
    Column("state", Text, nullable=False),
)

# What a camera usually shows: a sample of its frames, and the calibration fitted to it last.
backgrounds = Table(
    "backgrounds",
    metadata,
    Column("device", String, primary_key=True),
    Column("encoder", LargeBinary, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("frames", LargeBinary, nullable=False),  # int8[N, width]
    Column("calibration", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False, server_default="256"),
)

marks = Table(
    "marks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("mark", LargeBinary, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("device", String, primary_key=True),
    Column("session", BigInteger, nullable=False),
    Column("numbers", Text, nullable=False),  # SequenceWindow.text()
    Column("clock_offset_ms", BigInteger),
    sqlite_with_rowid=False,
)

# kind: "e" an embedding, "l" one that came too late to alert anybody, "t" a caption, "o" one that
# came too late (`encoder` is its pack's hash, `data` the text), "s" the agent began, "r" an alert
# of which no action was delivered, "f" a message on a topic that a `while:` asks for, "w" the wall
# clock was set: `data` is how many ms it is ahead of the events' time since then, "c" a calibration
# of a camera, "g" the camera is gone and its calibration with it, "k" what somebody said of an
# alert, "p" these policies are in force from here on.
events = Table(
    "events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(1), nullable=False),
    Column("device", String, nullable=False),  # for "f" the topic
    Column("session", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("frame", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("encoder", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),  # int8[256]; "r": the policy, "f": the message
    Column("colour", SmallInteger, nullable=False, server_default="-1"),  # percent; -1: not told
    # core.boxes.boxes_text, NULL: no positions were told; of a caption its vector, int8[256]
    Column("boxes", LargeBinary),
    Index("events_time", "time_ms"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("device", String, nullable=False),
    Column("fired", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("phrase", Text, nullable=False),
    Column("margin_q8", Integer, nullable=False),
    Column("threshold_q8", Integer, nullable=False),
    Column("frame", BigInteger, nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("gates", Text, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Index("decisions_time", "time_ms"),
    sqlite_autoincrement=True,
)

# state: "wait", "begun" (at most once, under way), "done", "dead" (given up, or refused for good),
# "unknown" (begun, end not known), "again" (a person asked for another attempt), "dropped" (by
# `mode:`), "acknowledged" (an escalation that is not wanted any more).
outbox = Table(
    "outbox",
    metadata,
    Column("job", String, primary_key=True),  # the decision's id and time
    Column("position", Integer, primary_key=True),  # of the action in `then:`
    Column("decision", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("device", String, nullable=False),
    Column("fired_ms", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("alert", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Index("outbox_state", "state"),
)
