"""What outlives the agent: tracks, decisions, the outbox, recorded events, memories, marks."""

from moteye.store.store import Background, Batch, RecordedEvent, Store, default_url, state_folder

__all__ = ["Background", "Batch", "RecordedEvent", "Store", "default_url", "state_folder"]
