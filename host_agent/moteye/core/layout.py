"""Compiled policies, and where their phrases stand in the score matrix."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from moteye.core.language import New, Policy, See
from moteye.core.track import BAND_Q8, CONSENSUS_FRAMES

NEVER = 1 << 20


class Schedule(Protocol):
    """When a policy may alert: `while:` made ready. A function of the time handed in."""

    def closed(self, time_ms: int) -> str:
        """Why it may not alert at `time_ms`; empty when it may."""

    def opens_ms(self, time_ms: int) -> int:
        """The first minute from `time_ms` on at which it may."""


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy and where its phrases stand in the score matrix.

    `columns` int64[P] for `policy.phrases`; `enter_q8` int32[P], the margin from which each counts;
    `upgrade_q8` int32[P], the margin from which an episode's severity rises; `memory` names what
    it remembers, which goes on when anything but its words is edited; `period` numbers the days or
    seasons of its `new:`, by time in ms. In a fleet that mixes encoders there is one for each:
    `encoder` is whose margins it is for, and `shared` names what all of them have in common.
    """

    policy: Policy
    columns: npt.NDArray[np.int64]
    enter_q8: npt.NDArray[np.int32]
    fingerprint: str
    schedule: Schedule | None = None
    upgrade_q8: npt.NDArray[np.int32] | None = None
    memory: str = ""
    period: Callable[[int], int] | None = None
    encoder: bytes = b""
    shared: str = ""

    def judges(self, device: str, encoder: bytes) -> bool:
        """Whether a frame of this camera, by this encoder, concerns it."""
        return self.encoder in (b"", encoder) and self.policy.watches(device)

    @property
    def common(self) -> str:
        """Names what holds for all cameras together, whatever their encoders."""
        return self.shared or self.fingerprint

    @cached_property
    def deciding(self) -> tuple[tuple[str, int, int], ...]:
        """Phrase, column and margin from which it counts, of each of `any`, else of `all`."""
        count = len(self.policy.any_of) or len(self.policy.all_of)
        columns, enter = self.columns[:count].tolist(), self.enter_q8[:count].tolist()
        return tuple(zip(self.policy.phrases[:count], columns, enter, strict=True))

    @cached_property
    def takes_best(self) -> bool:
        """Whether the best of several phrases decides, and not the worst."""
        return bool(self.policy.any_of)

    @cached_property
    def frames_needed(self) -> int:
        """How many frames in a row make an episode."""
        least = 1 if self.policy.instant else CONSENSUS_FRAMES
        return max([least, *(zone.inertia for zone in self.policy.zones)])

    @cached_property
    def hold_ms(self) -> float:
        """How long they must go on."""
        policy = self.policy
        return max([policy.gone_s, policy.hold_s, *(z.dwell_s for z in policy.zones)]) * 1000

    @cached_property
    def only_any(self) -> bool:
        """Whether it asks for one of several phrases and for nothing else."""
        policy = self.policy
        return bool(policy.any_of) and not (policy.all_of or policy.none_of)

    @cached_property
    def is_gone(self) -> bool:
        """Whether a frame counts that does not show the words."""
        return self.policy.gone_s > 0

    @cached_property
    def plain(self) -> bool:
        """Whether it stands above its threshold exactly where one of its phrases does."""
        return self.only_any and not (self.policy.gone_s or self.apart)

    @cached_property
    def forgets(self) -> bool:
        """Whether a frame that shows it nothing says nothing but that."""
        return self.plain and self.remembers is None

    @cached_property
    def remembers(self) -> New | None:
        """The `new:` of a policy with a memory."""
        return self.policy.new if isinstance(self.policy.new, New) else None

    @cached_property
    def waits(self) -> bool:
        """Whether it alerts only while something holds."""
        return self.policy.hours is not None or self.schedule is not None

    @cached_property
    def contrasts(self) -> bool:
        """Whether what is seen is held against what it is easily taken for."""
        return bool(self.policy.unlike)

    @cached_property
    def shares(self) -> bool:
        """Whether the alerts of other cameras hold it back."""
        policy = self.policy
        return "site" in policy.cooldown.per or any(group.merge_s for group in policy.groups)

    @property
    def tells_things_apart(self) -> bool:
        """Whether every frame matters to its memory."""
        return isinstance(self.policy.new, New) and self.policy.new.of == "instance"

    @property
    def apart(self) -> bool:
        """Whether a frame's margins alone do not tell if it holds: zones, counts, changes."""
        return self.policy.boxed or self.policy.changes is not None or self.policy.hears

    @cached_property
    def hears(self) -> bool:
        """Whether captions concern it, and frames do not."""
        return self.policy.hears

    def parts(self) -> "tuple[CompiledPolicy, ...]":
        """One for each phrase of `any` where the cooldown is per class, else itself.

        Each has tracks of its own, so that one class never holds back another.
        """
        policy, wanted = self.policy, self.policy.any_of
        if "class" not in policy.cooldown.per:
            return (self,)
        found = []
        for index, phrase in enumerate(wanted):
            at = [index, *range(len(wanted), len(self.columns))]
            found.append(
                replace(
                    self,
                    policy=_about(policy, phrase),
                    columns=self.columns[at],
                    enter_q8=self.enter_q8[at],
                    fingerprint=f"{self.fingerprint}/{phrase}",
                    memory=f"{self.memory}/{phrase}",
                    shared=f"{self.shared}/{phrase}" if self.shared else "",
                    upgrade_q8=None if self.upgrade_q8 is None else self.upgrade_q8[at],
                )
            )
        return tuple(found)


def _about(policy: Policy, phrase: str) -> Policy:
    """The policy for one of its phrases alone."""
    if policy.caption is not None:
        said = policy.caption.model_copy(update={"says": [phrase]})
        return policy.model_copy(update={"caption": said})
    see = See.model_construct(any=[phrase], all=[], none=policy.none_of, unlike=policy.unlike)
    return policy.model_copy(update={"see": see})


class Layout:
    """All policies' phrases side by side, so that one pass over a batch serves all of them.

    Most policies are plain. Whether a frame may interest one of those is told by one comparison
    with the lowest threshold of each phrase, which hardly any frame reaches; the others are
    computed. `mixed`: whether there are such others.
    """

    def __init__(self, policies: tuple[CompiledPolicy, ...]) -> None:
        self._policies = policies
        self._others = [i for i, one in enumerate(policies) if not (one.plain or one.apart)]
        self.mixed = bool(self._others)
        self._rest = _Matrix(tuple(policies[index] for index in self._others))
        self._users: dict[int, list[tuple[int, int]]] = {}
        for index, one in enumerate(policies):
            if one.plain:
                for _, column, enter in one.deciding:
                    self._users.setdefault(column, []).append((index, enter))
        width = 1 + max([-1, *self._users])
        self._lowest = np.full(width, 32767, np.int16)
        for column, users in self._users.items():
            least = min(enter for _, enter in users) - BAND_Q8
            self._lowest[column] = min(32767, max(-32768, least))

    @cached_property
    def _every(self) -> "_Matrix":
        return _Matrix(self._policies)

    def over(self, margins_q8: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """Margins int16[B, K] → int32[B, P]: how far above its threshold each policy stands.

        The best of `any`, no more than the worst of `all`, and below 0 when one of `not` is seen.
        With `gone:` the sign is turned: >= 0 where the words do not hold. Those that stand apart
        are below 0.
        """
        return self._every.over(margins_q8)

    def shown(self, margins_q8: npt.NDArray[np.int16]) -> list[list[int]]:
        """Margins int16[B, K] → for each frame the policies that it may show something.

        `over` is >= 0 for them, or so little below that a frame abstains.
        """
        found: list[list[int]] = [[] for _ in margins_q8]
        reached = margins_q8[:, : len(self._lowest)] >= self._lowest
        rows, columns = np.nonzero(reached)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            users = self._users.get(column, ())
            if len(users) == 1:
                found[row].append(users[0][0])
            else:
                margin = int(margins_q8[row, column])
                found[row] += [index for index, enter in users if margin >= enter - BAND_Q8]
        if self.mixed:
            for row, at in np.argwhere(self._rest.over(margins_q8) >= -BAND_Q8).tolist():
                found[row].append(self._others[at])
        return found


class _Matrix:
    """`Layout.over` for some policies, all of them computed."""

    def __init__(self, policies: tuple[CompiledPolicy, ...]) -> None:
        self._count = len(policies)
        self._turned = np.array([compiled.policy.gone_s > 0 for compiled in policies], np.bool_)
        self._apart = np.array([compiled.apart for compiled in policies], np.bool_)
        self._any = _Group(policies, lambda policy: policy.any_of)
        self._all = _Group(policies, lambda policy: policy.all_of)
        self._none = _Group(policies, lambda policy: policy.none_of)

    def over(self, margins_q8: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """Margins int16[B, K] → int32[B, P]."""
        over = np.full((len(margins_q8), self._count), NEVER, np.int32)
        for group, reduce, sign in (
            (self._any, np.maximum.reduceat, 1),
            (self._all, np.minimum.reduceat, 1),
            (self._none, np.minimum.reduceat, -1),
        ):
            if group.policies.size:
                margins = margins_q8[:, group.columns].astype(np.int32) - group.enter_q8
                values = reduce(margins if sign > 0 else -1 - margins, group.starts, axis=1)
                over[:, group.policies] = np.minimum(over[:, group.policies], values)
        over[:, self._turned] = -1 - over[:, self._turned]
        over[:, self._apart] = -NEVER
        return over


class _Group:
    """The columns of one of `any`, `all` and `not`, policy after policy."""

    def __init__(
        self,
        policies: tuple[CompiledPolicy, ...],
        phrases_of: Callable[[Policy], list[str]],
    ) -> None:
        columns: list[int] = []
        enter: list[int] = []
        starts: list[int] = []
        owners: list[int] = []
        for index, compiled in enumerate(policies):
            wanted = phrases_of(compiled.policy)
            if compiled.hears or not wanted:  # columns of another matrix
                continue
            owners.append(index)
            starts.append(len(columns))
            place = {phrase: at for at, phrase in enumerate(compiled.policy.phrases)}
            columns += [int(compiled.columns[place[phrase]]) for phrase in wanted]
            enter += [int(compiled.enter_q8[place[phrase]]) for phrase in wanted]
        self.columns = np.array(columns, np.int64)
        self.enter_q8 = np.array(enter, np.int32)
        self.starts = np.array(starts, np.int64)
        self.policies = np.array(owners, np.int64)
