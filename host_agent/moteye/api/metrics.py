"""What Prometheus scrapes: counters of the agent's parts, and how full its queues are."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


class Measured(Protocol):
    """What is measured."""

    version: str

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Counters by part and name."""

    def gauges(self) -> Mapping[str, float]:
        """Gauges by name."""


_GAUGES = {
    "cameras_online": "Cameras that are there",
    "inbox_waiting": "Embeddings that wait to be judged",
    "actions_waiting": "Alerts with actions to do",
    "connected": "Whether the broker is there",
    "storage_written_bytes": "What the agent made the disk write since its start",
}


class _Reader(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("moteye", "The agent", {"version": self._measured.version})
        for name, value in self._measured.gauges().items():
            yield GaugeMetricFamily(f"moteye_{name}", _GAUGES[name], value)
        family = CounterMetricFamily(
            "moteye_events", "What happened, by part of the agent and kind", labels=("part", "kind")
        )
        for part, counted in self._measured.counters().items():
            for kind, count in counted.items():
                family.add_metric((part, kind), count)
        yield family


def exposition(measured: Measured) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Reader(measured))
    return generate_latest(registry)
