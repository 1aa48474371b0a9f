"""Which retained topics were published, kept in a file, so that none is left behind (T48)."""

import contextlib
import json
from pathlib import Path

from moteye.whole_file import write_whole

MOST_GONE = 64  # components that are told to be gone, in one device's message


class TopicLedger:
    """Topics by what they are for: a device's discovery message with its components, or a state.

    Written down before anything is published, so that a crash in between leaves nothing unknown.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.devices: dict[str, dict[str, str]] = {}  # config topic -> component -> platform
        self.states: dict[str, str] = {}  # state topic -> config topic
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            content = json.loads(path.read_text())
            self.devices = {k: dict(v) for k, v in dict(content["devices"]).items()}
            self.states = dict(content["states"])

    def note(self, config: str, components: dict[str, str], states: list[str]) -> None:
        """Note what is about to be published for a device."""
        known = self.devices.get(config, {})
        gone = [key for key in known if key not in components]
        kept = {key: known[key] for key in gone[-MOST_GONE:]} | components
        before = (known, {t for t, c in self.states.items() if c == config})
        if before == (kept, set(states)):
            return
        self.devices[config] = kept
        self.states |= dict.fromkeys(states, config)
        self._save()

    def gone(self, config: str, components: dict[str, str]) -> dict[str, str]:
        """Components that a device had once and has no more, with their platforms."""
        known = self.devices.get(config, {})
        return {key: platform for key, platform in known.items() if key not in components}

    def orphans(self, wanted: set[str]) -> list[str]:
        """Topics of devices that are not wanted: the discovery message first."""
        configs = [config for config in self.devices if config not in wanted]
        return configs + [topic for topic, config in self.states.items() if config in configs]

    def forget(self, configs: set[str]) -> None:
        """Devices whose topics are cleared."""
        self.devices = {k: v for k, v in self.devices.items() if k not in configs}
        self.states = {k: v for k, v in self.states.items() if v not in configs}
        self._save()

    def _save(self) -> None:
        told = {"devices": self.devices, "states": self.states}
        write_whole(self._path, json.dumps(told).encode())
