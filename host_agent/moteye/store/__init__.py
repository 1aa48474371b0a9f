"""What outlives the agent: tracks, decisions, the outbox, recorded events."""

from moteye.store.store import Batch, RecordedEvent, Store, default_url, state_folder

__all__ = ["Batch", "RecordedEvent", "Store", "default_url", "state_folder"]
