"""Processes that train one student side by side, each with batches of its own.

`torchrun --nproc-per-node 2 -m moteye_training distil ...` starts them: on a processor two of one
thread each take 1.7 times the pictures that one of two threads does. Without torchrun a team is one
process, and nothing here costs anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist

LONGEST_WAIT = timedelta(hours=12)
"""For the first process, which fills caches while the others wait."""


@dataclass(frozen=True)
class Team:
    """This process's number among so many."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that measures, prints and writes."""
        return self.rank == 0

    @contextmanager
    def first_leader(self) -> Iterator[None]:
        """What is inside is done by the leader, then by the others: they find its caches full."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.size > 1:
            dist.barrier()

    def share_weights(self, module: nn.Module) -> None:
        """The leader's weights and statistics for all."""
        if self.size == 1:
            return
        for value in module.state_dict().values():
            dist.broadcast(value, 0)

    def leader_says(self, value: float) -> float:
        """The leader's value."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(told, 0)
        return float(told)

    def mean_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Each gradient becomes the mean of all processes' ones."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.reshape(gradient.shape))


def join_team() -> Team:
    """The team that torchrun started this process in, else one by itself."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    if not dist.is_initialized():
        dist.init_process_group("gloo", timeout=LONGEST_WAIT)
    return Team(dist.get_rank(), size)
