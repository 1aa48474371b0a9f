"""What outlives the agent: tracks, decisions, the outbox, recorded events, memories, marks."""

from moteye.store.database import MEMORY, default_url, state_folder
from moteye.store.records import Background, Batch, RecordedEvent
from moteye.store.store import Store

__all__ = [
    "MEMORY",
    "Background",
    "Batch",
    "RecordedEvent",
    "Store",
    "default_url",
    "state_folder",
]
