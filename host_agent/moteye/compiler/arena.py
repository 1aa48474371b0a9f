"""From records to arena offsets: how long each tensor lives, what is streamed, where it stands."""

from dataclasses import dataclass

from .bands import band_heights, find_chains, peak_of, stream_rows
from .draw import Drawing, Placed
from .plan import Block, live_peak, merge_in_place, plan_arena
from .reader import Graph
from .record import Record


@dataclass(frozen=True)
class Arena:
    """A plan: offset by tensor, and the blocks (one may hold several tensors) that it places."""

    size: int
    live_peak: int
    offsets: dict[int, int]
    blocks: tuple[Block, ...]


def _lifetimes(graph: Graph, records: list[Record]) -> dict[int, Block]:
    """Blocks by the tensor that owns the bytes.

    The input lives from before the first record, the output to after the last.
    """
    first: dict[int, int] = {graph.bytes_of(graph.input): 0}
    last: dict[int, int] = dict(first)
    for step, record in enumerate(records, start=1):
        for index in map(graph.bytes_of, (*record.inputs, record.output)):
            first.setdefault(index, step)
            last[index] = step
    last[graph.bytes_of(graph.output)] = len(records) + 1
    return {key: Block(key, graph.tensors[key].elements, first[key], last[key]) for key in first}


def _merged(graph: Graph, records: list[Record]) -> tuple[dict[int, Block], dict[int, int]]:
    """(blocks, who owns the bytes of those that were merged into another)."""
    blocks = _lifetimes(graph, records)
    pairs = [
        (graph.bytes_of(source), graph.bytes_of(record.output))
        for record in records
        if record.in_place
        for source in record.inputs
    ]
    return blocks, merge_in_place(blocks, pairs)


def place_records(graph: Graph, records: list[Record]) -> Arena:
    """The plan of the records as they are."""
    blocks, owner = _merged(graph, records)
    placed = list(blocks.values())
    offsets, size = plan_arena(placed)
    named = {i for record in records for i in (*record.inputs, record.output)}
    keys = {index: graph.bytes_of(index) for index in named | {graph.input, graph.output}}
    by_tensor = {index: offsets[owner.get(key, key)] for index, key in keys.items()}
    return Arena(size, live_peak(placed), offsets | by_tensor, tuple(placed))


def draw_arena(graph: Graph, records: list[Record], arena: Arena) -> Drawing:
    """The plan with names, for people."""
    blocks = tuple(
        Placed(
            graph.tensors[block.key].name,
            arena.offsets[block.key],
            block.aligned,
            block.first,
            block.last,
        )
        for block in arena.blocks
    )
    return Drawing(arena.size, tuple(record.name for record in records), blocks)


def _tried(
    graph: Graph, records: list[Record], chain: range, rows: int
) -> tuple[list[Record], int] | None:
    """(all records with this chain in bands, the most bytes alive while it runs)."""
    bands = stream_rows(graph, records, chain, rows)
    if bands is None:
        return None
    whole = [*records[: chain.start], *bands, *records[chain.stop :]]
    blocks = list(_merged(graph, whole)[0].values())
    return whole, peak_of(blocks, chain.start + 1, chain.start + len(bands))


def _streamed(graph: Graph, records: list[Record], chain: range, goal: int) -> list[Record]:
    """The records with a chain in the tallest bands that meet the goal, else in the smallest."""
    found = (_tried(graph, records, chain, rows) for rows in band_heights(records, chain))
    best: tuple[list[Record], int] | None = None
    for candidate in found:
        if candidate is not None and (best is None or candidate[1] < best[1]):
            best = candidate
            if best[1] <= goal:
                break
    return records if best is None else best[0]


def stream_to_goal(graph: Graph, records: list[Record], goal: int) -> list[Record]:
    """Records of which those chains are in bands that would take more than `goal` bytes.

    Where the goal is out of reach, nothing takes more than the tensors that cannot be streamed.
    """
    plain = len(graph.tensors)
    least = _least(graph, records, goal)
    del graph.tensors[plain:]
    for chain in reversed(find_chains(graph, records)):
        blocks = list(_merged(graph, records)[0].values())
        if peak_of(blocks, chain.start + 1, chain.stop) > least:
            records = _streamed(graph, records, chain, least)
    return records


def _least(graph: Graph, records: list[Record], goal: int) -> int:
    """The goal, or what the worst place needs with everything streamed as finely as can be."""
    least, streamed = goal, set[int]()
    blocks = list(_merged(graph, records)[0].values())
    for chain in find_chains(graph, records):
        streamed |= set(chain)
        if peak_of(blocks, chain.start + 1, chain.stop) > goal:
            tried = (_tried(graph, records, chain, r) for r in band_heights(records, chain))
            peaks = [candidate[1] for candidate in tried if candidate is not None]
            whole = peak_of(blocks, chain.start + 1, chain.stop)
            least = max(least, min([*peaks, whole]))
    for at in range(len(records)):
        if at not in streamed:
            least = max(least, peak_of(blocks, at + 1, at + 1))
    return least
