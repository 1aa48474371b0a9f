"""Device and host must come to the same integers from the same bytes."""

from collections import Counter, deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import structlog
from moteye_protocol import models

from moteye.core.scoring import AnySet, Scorer, dims_of

log = structlog.get_logger("moteye.agent")
RECENT_FRAMES = 32
MOST_SCORERS = 16
FormOf = Callable[[bytes], AnySet | None]


class Agreement:
    """Scores again what devices scored, and counts where the results differ.

    `form_of` gives the prototype set of a hash, as it was sent.
    """

    def __init__(self, counters: Counter[str], form_of: FormOf) -> None:
        self._counters = counters
        self._form_of = form_of
        self._recent: dict[str, deque[tuple[int, npt.NDArray[np.int8]]]] = {}
        self._scorers: dict[tuple[bytes, int], Scorer] = {}

    def saw(self, device: str, frame: int, embedding: bytes) -> None:
        """Remember an embedding until the detections of its frame come."""
        recent = self._recent.setdefault(device, deque(maxlen=RECENT_FRAMES))
        recent.append((frame, np.frombuffer(embedding, np.int8)))

    def compare(self, device: str, message: models.Detections) -> None:
        """Count a result of a device that is not ours."""
        vector = next((v for f, v in self._recent.get(device, ()) if f == message.frame), None)
        scorer = self._scorer(message) if vector is not None else None
        if vector is None or scorer is None:
            return
        ours = scorer.margins_q8(vector[None])[0]
        self._counters["detections.compared"] += 1
        for row, margin_q8, _ in message.rows:
            if row >= len(ours) or int(ours[row]) != margin_q8:
                self._counters["detections.unequal"] += 1
                log.error("device and host disagree", device=device, row=row, margin=margin_q8)
                return

    def _scorer(self, message: models.Detections) -> Scorer | None:
        """That of the set and dimension which a device names; None where they are not ours."""
        key = (message.set, message.dim)
        if key not in self._scorers:
            form = self._form_of(message.set)
            if form is None or message.dim not in dims_of(form):
                return None
            if len(self._scorers) >= MOST_SCORERS:
                self._scorers.clear()
            self._scorers[key] = Scorer(form, message.dim)
        return self._scorers[key]
