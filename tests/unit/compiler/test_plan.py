"""The arena plan: live tensors share no byte, and it is as small as known bounds allow."""

import numpy as np
import pytest
from moteye.compiler.plan import ALIGNMENT, Block, live_peak, merge_in_place, plan_arena


def random_blocks(rng: np.random.Generator) -> list[Block]:
    blocks = []
    for key in range(int(rng.integers(2, 40))):
        first = int(rng.integers(0, 30))
        size = int(rng.integers(1, 5000))
        blocks.append(Block(key, size, first, first + int(rng.integers(0, 6))))
    return blocks


@pytest.mark.parametrize("seed", range(40))
def test_plan_keeps_live_blocks_apart(seed: int) -> None:
    blocks = random_blocks(np.random.default_rng(seed))
    offsets, size = plan_arena(blocks)
    assert live_peak(blocks) <= size
    for block in blocks:
        assert offsets[block.key] % ALIGNMENT == 0
        assert 0 <= offsets[block.key] <= size - block.size
        for other in blocks:
            if block is not other and block.meets(other):
                end, other_end = offsets[block.key] + block.size, offsets[other.key] + other.size
                assert end <= offsets[other.key] or other_end <= offsets[block.key]


def test_plan_of_a_chain_reaches_the_live_peak() -> None:
    sizes = [27648, 36864, 73728, 18432, 55296, 9216, 27648, 1024]
    blocks = [Block(key, size, key, key + 1) for key, size in enumerate(sizes)]
    assert plan_arena(blocks)[1] == live_peak(blocks) == 36864 + 73728


def test_plan_is_deterministic() -> None:
    blocks = random_blocks(np.random.default_rng(99))
    assert plan_arena(blocks) == plan_arena(list(reversed(blocks)))


def test_merge_in_place_gives_the_output_the_bytes_of_a_dying_input() -> None:
    blocks = {0: Block(0, 64, 0, 3), 1: Block(1, 64, 2, 3), 2: Block(2, 64, 3, 4)}
    assert merge_in_place(blocks, [(0, 2), (1, 2)]) == {2: 0}
    assert blocks == {0: Block(0, 64, 0, 4), 1: Block(1, 64, 2, 3)}


def test_merge_in_place_leaves_an_input_that_lives_on() -> None:
    blocks = {0: Block(0, 64, 0, 5), 1: Block(1, 64, 3, 4)}
    assert merge_in_place(blocks, [(0, 1)]) == {}
    assert set(blocks) == {0, 1}
