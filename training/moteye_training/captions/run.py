"""One stage of a training: model, averaged model and optimiser, stored and taken up again."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..distil import average_into, save_checkpoint


class Learner(nn.Module):
    """A model that can say what it takes to build it again."""

    def about(self) -> dict[str, Any]:
        """Plain values, stored beside the weights."""
        raise NotImplementedError


@dataclass(frozen=True)
class Options:
    """One stage. `steps` batches; `smoothing` of the wanted words; `ema` of averaged weights."""

    name: str
    steps: int
    batch: int = 128
    rate: float = 2e-3
    weight_decay: float = 0.02
    smoothing: float = 0.1
    dropout: float = 0.3
    ema: float = 0.998
    seed: int = 1
    save_every: int = 200


class Run:
    """Model, averaged model and optimiser of one stage, stored and taken up again."""

    def __init__(self, model: Learner, options: Options, folder: Path) -> None:
        self.model, self.options, self.path = model, options, folder / f"{options.name}.pt"
        self.average = copy.deepcopy(model).eval()
        weights = [p for p in model.parameters() if p.requires_grad]
        # Matrices and kernels; gains (1, C, 1, 1) are none.
        decayed = [p for p in weights if p.ndim >= 2 and len(p) > 1]
        others = [p for p in weights if p.ndim < 2 or len(p) == 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": options.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=options.rate,
            fused=True,
        )
        self.step = 0
        self._late = (0.0, 0.0)  # weighted sum of what is told of the latest steps, sum of weights
        if self.path.exists():
            device = next(model.parameters()).device
            stored = torch.load(self.path, weights_only=True, map_location=device)
            model.load_state_dict(stored["model"])
            self.average.load_state_dict(stored["average"])
            self.optimiser.load_state_dict(stored["optimiser"])
            self.step = stored["step"]
            print(f"{options.name}: goes on at step {self.step}", flush=True)

    def save(self) -> None:
        """Write all or nothing."""
        save_checkpoint(
            self.path, model=self.model.state_dict(), average=self.average.state_dict(),
            optimiser=self.optimiser.state_dict(), step=self.step,
            **self.model.about(),
        )  # fmt: skip

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser at the rate of this share of the stage."""
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{self.options.name}: loss {loss.item()} at {self.step}")
        progress = self.step / self.options.steps
        factor = min(1.0, (self.step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.rate * factor
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(self.options.ema, (self.step + 1) / (self.step + 20))
        average_into(self.average, self.model, decay)

    def learn(
        self, loss: Tensor, hold_out: Callable[[Any], dict[str, float]], started: float,
        minutes: float, told: tuple[str, float] | None = None,
    ) -> bool:  # fmt: skip
        """Take a step, tell and store now and then; whether `minutes` since `started` are over.

        `told` names what is averaged over the latest steps and printed; the loss where it is None.
        """
        self.update(loss)
        name, value = told or ("loss", loss.item())
        total, weight = self._late
        self._late = total, weight = 0.98 * total + 0.02 * value, 0.98 * weight + 0.02
        late = self.late(started, minutes)
        if self.step % self.options.save_every == 0 or self.step == self.options.steps or late:
            self.tell(hold_out, started, f"{name} {total / weight:.3f}")
        return late

    def late(self, started: float, minutes: float) -> bool:
        """Whether these minutes since `started` (monotonic seconds) are over; 0: never."""
        over = minutes > 0 and time.monotonic() - started > 60 * minutes
        if over:
            print(f"{self.options.name}: {minutes} min are over at step {self.step}", flush=True)
        return over

    def tell(self, hold_out: Callable[[Any], dict[str, float]], started: float, note: str) -> None:
        """Print the averaged model's figures, and store."""
        self.save()
        figures = " ".join(f"{name} {x:.3f}" for name, x in hold_out(self.average).items())
        took = time.monotonic() - started
        name = self.options.name
        print(f"{name}: step {self.step} {took:.0f} s {note} | hold-out {figures}", flush=True)
