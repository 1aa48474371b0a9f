"""What outlives the agent: tracks, decisions, the outbox, recorded events."""

from moteye.store.store import Batch, RecordedEvent, Store, default_url

__all__ = ["Batch", "RecordedEvent", "Store", "default_url"]
