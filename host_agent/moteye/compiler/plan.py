"""Where each tensor stands in the arena. Offline, so that the device does not allocate."""

from collections.abc import Callable
from dataclasses import dataclass, replace

ALIGNMENT = 16  # of every offset, for vector loads


@dataclass(frozen=True)
class Block:
    """Bytes that live from step `first` to step `last`, both inclusive."""

    key: int
    size: int
    first: int
    last: int

    @property
    def aligned(self) -> int:
        """The bytes that it takes in the arena."""
        return -(-self.size // ALIGNMENT) * ALIGNMENT

    def meets(self, other: "Block") -> bool:
        """Whether both live at one step."""
        return self.first <= other.last and other.first <= self.last


def live_peak(blocks: list[Block]) -> int:
    """The most bytes alive at one step: no plan can be smaller."""
    steps = {block.first for block in blocks}
    return max(sum(b.aligned for b in blocks if b.first <= step <= b.last) for step in steps)


def _place(order: list[Block]) -> tuple[dict[int, int], int]:
    """First fit in the given order: (offsets by key, arena size)."""
    offsets: dict[int, int] = {}
    placed: list[Block] = []
    size = 0
    for block in order:
        neighbours = sorted((offsets[b.key], b.aligned) for b in placed if b.meets(block))
        at = 0
        for offset, length in neighbours:
            if at + block.aligned <= offset:
                break
            at = max(at, offset + length)
        offsets[block.key] = at
        placed.append(block)
        size = max(size, at + block.aligned)
    return offsets, size


_ORDERS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.first, b.key),
    lambda b: (-b.size * (b.last - b.first + 1), b.first, b.key),
    lambda b: (-(b.last - b.first), -b.size, b.key),
    lambda b: (b.first, -b.size, b.key),
)


def plan_arena(blocks: list[Block], swaps: int = 300) -> tuple[dict[int, int], int]:
    """Offsets by key and the arena's size.

    The best of four greedy orders, then of moves of the block that reaches highest.
    Deterministic: no random number, no dependence on hashing.
    """
    orders = [sorted(blocks, key=key) for key in _ORDERS]
    order = min(orders, key=lambda candidate: _place(candidate)[1])
    offsets, size = _place(order)
    bound = live_peak(blocks)
    for step in range(swaps):
        if size == bound:
            break
        # The block that reaches highest came too late: try it at another place in the order.
        top = max(order, key=lambda b: (offsets[b.key] + b.size, b.key))
        others = [b for b in order if b is not top]
        at = step % len(order)
        candidate = [*others[:at], top, *others[at:]]
        candidate_offsets, candidate_size = _place(candidate)
        if candidate_size <= size:
            order, offsets, size = candidate, candidate_offsets, candidate_size
    return offsets, size


def merge_in_place(blocks: dict[int, Block], pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Let an output take over its input's bytes where the input dies there: owner by key.

    `pairs` are (input, output) of operators that may write over their input, in execution order.
    `blocks` is updated.
    """
    owner: dict[int, int] = {}

    def find(key: int) -> int:
        while key in owner:
            key = owner[key]
        return key

    for source, target in pairs:
        a, b = blocks.get(find(source)), blocks.get(target)
        if a is None or b is None or a is b or a.last != b.first or a.size != b.size:
            continue
        blocks[a.key] = replace(a, last=b.last)
        del blocks[target]
        owner[target] = a.key
    return {key: find(key) for key in owner}
