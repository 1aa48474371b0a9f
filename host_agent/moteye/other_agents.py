"""Other agents on the same broker: fine where they divide the devices, else both act (T15)."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from moteye.core.ownership import Ownership

log = structlog.get_logger("moteye.agent")
_MOST_AGENTS = 64
_MOST_PATTERNS = 1000
_MOST_CHARS = 64


@dataclass
class _Other:
    online: bool = False
    owned: Ownership | None = None  # None: it has not said
    told: bool = False


class OtherAgents:
    """Feed it what is said on the agents' topics `status` and `set`, in any order.

    Those whose devices are also ours are told of, once for each time that they come, and counted.
    """

    def __init__(
        self, client_id: str, own: Callable[[], Ownership], counters: Counter[str]
    ) -> None:
        self._client_id = client_id
        self._own = own
        self._counters = counters
        self._all: dict[str, _Other] = {}

    def heard_status(self, payload: bytes) -> bool:
        """An agent comes or goes. True where one has gone: its word hides that we are there."""
        with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
            said = json.loads(payload)
            other = self._other(said["client"])
            if other is not None:
                other.online = said["state"] == "online"
                self.look()
                return not other.online
        return False

    def heard_set(self, payload: bytes) -> None:
        """An agent says which devices get its sets."""
        with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
            said = json.loads(payload)
            patterns = [str(p) for p in said["devices"][:_MOST_PATTERNS] if len(p) <= _MOST_CHARS]
            other = self._other(said["client"])
            if other is not None:
                other.owned = Ownership(tuple(patterns))
            self.look()  # where it was our own word, ours may be others now

    def look(self) -> None:
        """Compare, and tell of those that were not told of."""
        for client, other in self._all.items():
            shared = None
            if other.online and other.owned is not None:
                shared = self._own().shared_with(other.owned.patterns)
            if shared is not None and not other.told:
                self._counters["other_agents"] += 1
                log.error(
                    "another agent has the same devices: both act on their alerts",
                    client_id=client,
                    devices=" and ".join(dict.fromkeys(shared)),
                    hint="stop one, or divide the devices between them with `cameras:`",
                )
            other.told = shared is not None

    def own(self, device: str) -> bool:
        """Whether a device is one that another agent, online now, brings its sets to."""
        return any(
            other.online and other.owned is not None and other.owned.owns(device)
            for other in self._all.values()
        )

    def _other(self, client: object) -> _Other | None:
        if not isinstance(client, str) or client == self._client_id:
            return None
        if client not in self._all and len(self._all) >= _MOST_AGENTS:
            return None
        return self._all.setdefault(client, _Other())
