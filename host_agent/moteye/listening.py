"""What devices say, on its way to decisions and into alerts."""

from collections import Counter
from collections.abc import Callable

from moteye.core.compile import CompiledSet
from moteye.core.decisions import Decision
from moteye.core.engine import Engine
from moteye.core.hearing import Caption
from moteye.ledger import Ledger

MOST_ASKED = 2  # captions in a row that a device is asked for beside those that it makes itself
STANDS_MS = 600_000  # an alert carries a caption that is no older


class Listener:
    """Feeds captions to the engine; `last` is what each camera said last.

    Where one caption alone does not tell, the device is asked for another by `ask` (device id).
    """

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self.last: dict[str, Caption] = {}
        self.counters: Counter[str] = Counter()
        self.ask: Callable[[str], None] = lambda device: None
        self._asked: Counter[str] = Counter()
        self._engine = engine
        self._ledger = ledger

    def hear(
        self, caption: Caption, compiled: CompiledSet | None, *, asked: bool
    ) -> list[Decision]:
        """Write a caption down and decide on it; `asked`: somebody had asked for it."""
        self._ledger.heard(caption)
        self.last[caption.device] = caption
        captions = compiled.captions if compiled is not None else None
        if captions is None:
            return []
        if caption.encoder != captions.encoder:
            self.counters["caption.other_pack"] += 1
            return []
        margins_q8 = captions.scorer.margins_q8(caption.vector)[0]
        decisions = self._engine.hear(caption, margins_q8)
        if not asked:
            del self._asked[caption.device]
        if self._engine.is_unclear(caption.device) and not caption.late:
            self._asked[caption.device] += 1
            if self._asked[caption.device] <= MOST_ASKED:
                self.ask(caption.device)
        return decisions

    def at(self, device: str, time_ms: int) -> tuple[str, float | None]:
        """What a camera had said last by a moment, and its age in s; nothing where it is old."""
        caption = self.last.get(device)
        if caption is None or time_ms - caption.time_ms > STANDS_MS:
            return "", None
        return caption.text, max(0, time_ms - caption.time_ms) / 1000
