"""The list of checks: each is keyed by the id of the rule that it tries."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from moteye.conformance.bench import Bench
from moteye.conformance.rig import Rig

Need = Literal["rig", "swap", "frames", "kept", "clock", "keys", "plain"]
WHY_NOT: dict[Need, str] = {
    "rig": "it takes power over the device and its line: use --simulate",
    "swap": "it replaces the device's prototype set: allow it with --swap",
    "frames": "this device lets no pictures leave (`frames: false`)",
    "kept": "this device lets pictures leave (`frames: true`)",
    "clock": "the device does not know the time",
    "keys": "the device has no keys",
    "plain": "a device with keys judges what is unsigned or old before that",
}


@dataclass
class Attempt:
    """What a check works with. `rig` only where it is lent."""

    bench: Bench
    lent: Rig | None = None

    @property
    def rig(self) -> Rig:
        """For checks that need it."""
        assert self.lent is not None
        return self.lent

    async def start(self) -> None:
        """Start the device and wait until it says who it is."""
        mark = self.bench.mark
        await self.rig.restart()
        await self.bench.next("birth", mark)

    async def power_cut(self) -> None:
        """End the device at once and start it again."""
        await self.rig.kill()
        await self.start()


Run = Callable[[Attempt], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """One rule and how to try it: `run` raises Failed or NotTried, or returns."""

    id: str
    title: str
    needs: frozenset[Need]
    run: Run


@dataclass(frozen=True)
class Result:
    """What became of one check."""

    id: str
    title: str
    outcome: Literal["passed", "failed", "not tried"]
    reason: str = ""


CHECKS: dict[str, Check] = {}


def check(rule: str, title: str, *needs: Need) -> Callable[[Run], Run]:
    """Put a function on the list, in the order of the source."""

    def add(run: Run) -> Run:
        if rule in CHECKS:
            raise ValueError(f"{rule} is on the list already")
        CHECKS[rule] = Check(rule, title, frozenset(needs), run)
        return run

    return add
