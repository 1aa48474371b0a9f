"""Row streaming: neighbouring convolutions run band by band; what lies between is never whole.

expand -> depthwise -> project keeps its largest tensors inside. Each band of output rows is the
same records on fewer rows; rows that the next band needs again are moved to the front of a buffer,
so nothing is computed twice. Every output bit stays.
"""

import struct
from collections import Counter
from dataclasses import dataclass, replace

from .kinds import CONV_2D, COPY, DEPTHWISE_CONV_2D
from .plan import Block
from .reader import Graph
from .record import Record

_LAYOUT = "<14H4hHh"  # window_2d_t
_MIN_ROWS = 2  # of a band: each one widens the weights again


@dataclass(frozen=True)
class Rows:
    """Rows [first, end) of a tensor."""

    first: int
    end: int


class _Stage:
    """One convolution of a chain."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.fields = struct.unpack(_LAYOUT, record.body)
        self.in_h, in_w, in_c, self.out_h, out_w, out_c, self.kernel = self.fields[:7]
        self.stride, self.dilation, self.pad = self.fields[8], self.fields[10], self.fields[12]
        self.in_row, self.out_row = in_w * in_c, out_w * out_c

    def needs(self, out: Rows) -> Rows:
        """Input rows that these output rows look at."""
        first = out.first * self.stride - self.pad
        end = (out.end - 1) * self.stride - self.pad + (self.kernel - 1) * self.dilation + 1
        return Rows(max(first, 0), min(end, self.in_h))

    def on(self, out: Rows, ends: tuple[int, int], offsets: tuple[int, int]) -> Record:
        """The record of these output rows alone, between tensors `ends`, bytes `offsets` in."""
        rows = self.needs(out)
        fields = list(self.fields)
        fields[0], fields[3] = rows.end - rows.first, out.end - out.first
        fields[12] = rows.first - (out.first * self.stride - self.pad)
        return replace(
            self.record,
            inputs=(ends[0],),
            output=ends[1],
            body=struct.pack(_LAYOUT, *fields),
            macs=self.record.macs * (out.end - out.first) // self.out_h,
            offsets=offsets,
        )


def find_chains(graph: Graph, records: list[Record]) -> list[range]:
    """Records that can be streamed together: a depthwise convolution and its neighbours."""
    read = Counter(graph.bytes_of(index) for record in records for index in record.inputs)
    read[graph.bytes_of(graph.output)] += 1

    def follows(at: int) -> bool:
        """Whether records[at] reads what the one before writes, and nobody else does."""
        if not 0 < at < len(records) or records[at].kind not in (CONV_2D, DEPTHWISE_CONV_2D):
            return False
        before, output = records[at - 1], records[at - 1].output
        window = before.kind in (CONV_2D, DEPTHWISE_CONV_2D)
        return window and records[at].inputs == (output,) and read[output] == 1

    chains: list[range] = []
    for at, record in enumerate(records):
        if record.kind != DEPTHWISE_CONV_2D:
            continue
        first = at - 1 if follows(at) and records[at - 1].kind == CONV_2D else at
        end = at + 2 if follows(at + 1) else at + 1
        first = max(first, chains[-1].stop) if chains else first
        if end - first > 1:
            chains.append(range(first, end))
    return chains


def _move(graph: Graph, buffer: int, row: int, held: Rows, keep: Rows) -> Record:
    """The kept rows of a buffer to its front."""
    shift, size = (keep.first - held.first) * row, (keep.end - keep.first) * row
    body = struct.pack("<4I8i2I", 1, 1, 1, size, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
    return Record(COPY, "(rows kept)", (buffer,), buffer, body, offsets=(shift, 0))


class _Chain:
    def __init__(self, graph: Graph, records: list[Record], rows: int) -> None:
        self.graph = graph
        self.stages = [_Stage(record) for record in records]
        self.rows = rows
        self.bands = self._plan()

    def _plan(self) -> list[list[tuple[Rows, Rows]]]:
        """For each band and stage: (output rows computed, those that the next stage reads)."""
        last = self.stages[-1]
        done = [0] * len(self.stages)
        bands = []
        for first in range(0, last.out_h, self.rows):
            wanted = Rows(first, min(first + self.rows, last.out_h))
            band: list[tuple[Rows, Rows]] = []
            for i in reversed(range(len(self.stages))):
                # A stride longer than the kernel skips rows.
                new = Rows(max(done[i], wanted.first), max(done[i], wanted.end))
                band.insert(0, (new, wanted))
                done[i] = new.end
                if new.first < new.end:
                    wanted = self.stages[i].needs(new)
                else:
                    break
            bands.append([(Rows(0, 0), Rows(0, 0))] * (len(self.stages) - len(band)) + band)
        return bands

    def records(self) -> list[Record] | None:
        """All bands; None where kept rows would have to move onto themselves."""
        buffers = [self._buffer(i) for i in range(len(self.stages) - 1)]
        held: list[Rows | None] = [None] * len(buffers)
        records: list[Record] = []
        for band in self.bands:
            for i, (stage, (new, wanted)) in enumerate(zip(self.stages, band, strict=True)):
                if new.first == new.end:
                    continue
                source, source_at = stage.record.inputs[0], 0
                needs = stage.needs(new)
                if i > 0:
                    kept = held[i - 1]
                    assert kept is not None
                    source, source_at = buffers[i - 1], kept.first
                target, target_at = stage.record.output, 0
                if i < len(buffers):
                    old = held[i]
                    keep = Rows(wanted.first, new.first)
                    if old is not None and keep.first < keep.end and keep.first > old.first:
                        if keep.first - old.first < keep.end - keep.first:
                            return None
                        records.append(_move(self.graph, buffers[i], stage.out_row, old, keep))
                    target, target_at = buffers[i], wanted.first
                    held[i] = wanted
                offsets = (
                    (needs.first - source_at) * stage.in_row,
                    (new.first - target_at) * stage.out_row,
                )
                records.append(stage.on(new, (source, target), offsets))
        return records

    def _buffer(self, i: int) -> int:
        """A tensor of as many rows as one band needs of stage i's output."""
        stage = self.stages[i]
        rows = max(band[i][1].end - band[i][1].first for band in self.bands)
        whole = self.graph.tensors[stage.record.output]
        shape = (1, rows, *whole.shape[2:])
        self.graph.tensors.append(replace(whole, name=f"{whole.name} (rows)", shape=shape))
        return len(self.graph.tensors) - 1


def stream_rows(
    graph: Graph, records: list[Record], chain: range, rows: int
) -> list[Record] | None:
    """The records of a chain, in bands of so many rows of its output.

    Adds buffers to the graph. None where that many rows do not work.
    """
    return _Chain(graph, [records[at] for at in chain], rows).records()


def band_heights(records: list[Record], chain: range) -> list[int]:
    """Heights of bands to try, from two bands on."""
    out_h = _Stage(records[chain[-1]]).out_h
    return sorted({-(-out_h // n) for n in range(2, out_h // _MIN_ROWS + 1)}, reverse=True)


def peak_of(blocks: list[Block], first: int, last: int) -> int:
    """The most bytes alive at one of these steps."""
    return max(
        sum(block.aligned for block in blocks if block.first <= step <= block.last)
        for step in range(first, last + 1)
    )
