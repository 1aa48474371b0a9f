"""`moteye search`: moments on record by what they show, in words and in pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye.cli.common import ConfigOption, StoreOption, since_moment_ms
from moteye.config import load_settings
from moteye.store import RecordedEvent, Store
from moteye.text.space import load_space, shipped_spaces

APART_MS = 60_000
"""Of several frames of a camera within a minute the best one is shown."""
_BATCH = 4096
Float = npt.NDArray[np.float32]
Floats = Float | list[Float]


@dataclass(frozen=True, order=True)
class Found:
    """A moment; a higher `score` (cosine) is nearer to what was asked for."""

    score: float
    time_ms: int
    camera: str
    frame: int
    text: str


def search(
    text: Annotated[str, typer.Argument(help="what to look for, in words")],
    since: Annotated[str, typer.Option("--since", help="how far back, 12h or 30d")] = "7d",
    camera: Annotated[str | None, typer.Option(help="only this device")] = None,
    limit: Annotated[int, typer.Option(help="so many of each kind")] = 10,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Find captions and frames on record that are nearest to TEXT, best first."""
    settings = load_settings(config, store=store)
    record = Store(settings.store_url, read_only=True)
    space = load_space(settings.space)
    since_ms = since_moment_ms(since)
    captions = record.captions(since_ms=since_ms, camera=camera)
    frames = (
        event
        for event in record.events(since_ms=since_ms)
        if event.is_embedding
        and event.encoder in shipped_spaces()
        and camera in (None, event.device)
    )
    query = space.phrase_vectors([text])[0]
    texts = sorted({event.data.decode() for event in captions})
    vectors = dict(zip(texts, space.phrase_vectors(texts), strict=True))
    console = Console(highlight=False)
    said = nearest(query, captions, lambda batch: [vectors[e.data.decode()] for e in batch], limit)
    seen = nearest(query, frames, embeddings_of, limit)
    console.print(_table(f"captions nearest to “{escape(text)}”", said))
    console.print(_table(f"frames nearest to “{escape(text)}”", seen))


def embeddings_of(events: Sequence[RecordedEvent]) -> Floats:
    """float32[B, 256] of recorded embeddings."""
    return np.stack([np.frombuffer(event.data, np.int8) for event in events]).astype(np.float32)


def nearest(
    query: Float,
    events: Iterable[RecordedEvent],
    vectors_of: Callable[[Sequence[RecordedEvent]], Floats],
    limit: int,
) -> list[Found]:
    """The moments whose vectors have the highest cosine to `query`, best first.

    Of one camera's moments that lie less than APART_MS from each other the best one stays.
    """
    best: dict[tuple[str, int], Found] = {}
    for batch in _batches(events):
        rows = np.asarray(vectors_of(batch), np.float32)
        length = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
        scores = rows @ query / np.maximum(length, 1e-9)
        for event, score in zip(batch, scores.tolist(), strict=True):
            text = event.data.decode() if event.kind == "t" else ""
            found = Found(score, event.time_ms, event.device, event.frame, text)
            place = event.device, event.time_ms // APART_MS
            best[place] = max(best.get(place, found), found)
    kept: list[Found] = []
    for found in sorted(best.values(), reverse=True):
        near = (f for f in kept if f.camera == found.camera)
        if all(abs(f.time_ms - found.time_ms) >= APART_MS for f in near):
            kept.append(found)
        if len(kept) == limit:
            break
    return kept


def _batches(events: Iterable[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    source = iter(events)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _table(title: str, moments: list[Found]) -> Table | str:
    if not moments:
        return f"{title}: none on record"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("time", "camera", "frame", "cosine", "in words"):
        table.add_column(heading, overflow="fold")
    for found in moments:
        time = datetime.fromtimestamp(found.time_ms / 1000).strftime("%Y-%m-%d %H:%M:%S")
        score = f"{found.score:.2f}"
        table.add_row(time, found.camera, str(found.frame), score, escape(found.text))
    return table
