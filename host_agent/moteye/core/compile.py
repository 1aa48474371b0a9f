"""Policies → phrases → one prototype set → compiled policies with thresholds.

Pure; the space is handed in.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet

from moteye.core.calibration import Background, Logistic, Threshold, threshold
from moteye.core.language import CALENDAR_WINDOWS, Hours, New, Policy
from moteye.core.layout import CompiledPolicy, Schedule
from moteye.core.prototypes import BuiltSet, build_set
from moteye.core.scoring import Scorer

_NOT_STATE = {"then", "description", "severity", "mode", "escalate", "finally_", "else_"}
_NO_PHRASE = "a room"  # a prototype set has a row at least, even if policies only ask for changes


@dataclass(frozen=True)
class CompiledSet:
    """Everything that a change of policies replaces at once.

    `thresholds[policy name][i]` is the threshold of the policy's i-th phrase. `others` are the same
    policies for further encoders of the fleet; `policies` are then those of all encoders, by the
    columns of this one (see `together`). `captions` are the policies about what devices say, which
    stand last among `policies`: their columns are of that set's margins.
    """

    policies: tuple[CompiledPolicy, ...]
    built: BuiltSet
    scorer: Scorer
    thresholds: dict[str, tuple[Threshold, ...]]
    others: Mapping[bytes, "CompiledSet"] = field(default_factory=dict)
    captions: "CompiledSet | None" = None

    def having(self, policy: Policy) -> "CompiledSet":
        """The set whose margins a policy's columns are of."""
        return self.captions if policy.hears and self.captions is not None else self

    @property
    def encoder(self) -> bytes:
        """Whose embeddings it scores."""
        return self.built.prototypes.encoder_hash

    def of(self, encoder: bytes) -> "CompiledSet":
        """What scores embeddings of an encoder: one of `others`, else this."""
        return self.others.get(encoder, self)

    def margins_q8(
        self, embeddings: npt.NDArray[np.int8], encoders: Sequence[bytes]
    ) -> npt.NDArray[np.int16]:
        """Embeddings int8[B, 256] of so many encoders → margins int16[B, K], each by its own.

        What an encoder has no row for is SET_MARGIN_NONE.
        """
        if not self.others:
            return self.scorer.margins_q8(embeddings)
        names = self.built.prototypes.names
        margins = np.full((len(encoders), len(names)), wire.SET_MARGIN_NONE, np.int16)
        for encoder in set(encoders):
            own = self.of(encoder)
            rows = np.array([at for at, one in enumerate(encoders) if one == encoder], np.int64)
            columns = self._columns_of[own.encoder]
            margins[rows[:, None], columns] = own.scorer.margins_q8(embeddings[rows])
        return margins

    @cached_property
    def columns(self) -> dict[str, int]:
        """Where each phrase stands in the margins."""
        return {phrase: column for column, phrase in enumerate(self.built.prototypes.names)}

    @cached_property
    def _columns_of(self) -> dict[bytes, npt.NDArray[np.int64]]:
        """By encoder, where its rows stand in the margins."""
        return {one.encoder: self.columns_of(one) for one in (self, *self.others.values())}

    def columns_of(self, other: "CompiledSet") -> npt.NDArray[np.int64]:
        """Where the rows of another encoder's set stand in the margins of this one."""
        return np.array([self.columns[name] for name in other.built.prototypes.names], np.int64)

    @cached_property
    def by_name(self) -> dict[str, Policy]:
        """The policies by their names; of one that several encoders have, the first."""
        return {one.policy.name: one.policy for one in reversed(self.policies)}


def together(first: CompiledSet, others: Sequence[CompiledSet]) -> CompiledSet:
    """The policies of a fleet that mixes encoders, as one set: those of all, side by side.

    `others` may lack policies of `first`, and have none that it has not.
    """
    if not others:
        return first
    seeing = [item for item in first.policies if not item.hears]
    policies = [replace(item, encoder=first.encoder) for item in seeing]
    common = {item.policy.name: item.fingerprint for item in seeing}
    for other in others:
        columns = first.columns_of(other)
        policies += [
            replace(
                item,
                columns=columns[item.columns],
                encoder=other.encoder,
                shared=common[item.policy.name],
            )
            for item in other.policies
        ]
    policies += [item for item in first.policies if item.hears]
    return replace(first, policies=tuple(policies), others={one.encoder: one for one in others})


def with_captions(first: CompiledSet, captions: CompiledSet) -> CompiledSet:
    """Policies about frames and policies about captions as one set.

    The latter take captions of one pack only, whose hash `captions.encoder` is.
    """
    heard = tuple(replace(item, encoder=captions.encoder) for item in captions.policies)
    thresholds = {**first.thresholds, **captions.thresholds}
    return replace(
        first, policies=(*first.policies, *heard), thresholds=thresholds, captions=captions
    )


def compile_policies(
    policies: list[Policy],
    vectors_of: Callable[[list[str]], npt.NDArray[np.float32]],
    background: Background,
    logistic: Logistic,
    *,
    encoder_hash: bytes,
    number: int,
    dim: int,
    schedule_of: Callable[[Hours], Schedule] | None = None,
    period_of: Callable[[New], Callable[[int], int]] | None = None,
    epoch: int = 0,
    previous: PrototypeSet | None = None,
) -> CompiledSet:
    """Compile policies; where none has phrases, the set holds one that nobody asked for.

    `vectors_of` maps phrases to float32[K, 256] in the encoder's space; `schedule_of` makes a
    `while:` ready, which takes the time-zone and sun tables that live outside the rules, and
    `period_of` a `new:` that counts by the calendar.
    """
    phrases = sorted({phrase for policy in policies for phrase in policy.phrases}) or [_NO_PHRASE]
    built = build_set(
        phrases,
        vectors_of(phrases),
        background,
        logistic,
        encoder_hash=encoder_hash,
        number=number,
        dim=dim,
        epoch=epoch,
        previous=previous,
    )
    column = {phrase: index for index, phrase in enumerate(phrases)}
    columns = {
        p.name: np.array([column[phrase] for phrase in p.phrases], np.int64) for p in policies
    }
    thresholds = {
        policy.name: _thresholds(policy, policy.certainty, columns[policy.name], built)
        for policy in policies
    }
    compiled = tuple(
        CompiledPolicy(
            policy=policy,
            columns=columns[policy.name],
            enter_q8=np.array([t.margin_q8 for t in thresholds[policy.name]], np.int32),
            fingerprint=fingerprint(policy, encoder_hash),
            schedule=schedule_of(policy.hours) if schedule_of and policy.hours else None,
            upgrade_q8=_upgrade_q8(policy, columns[policy.name], built),
            memory=memory_key(policy, encoder_hash),
            period=_period(policy, period_of),
        )
        for policy in policies
    )
    return CompiledSet(compiled, built, Scorer(built.prototypes, dim), thresholds)


def _thresholds(
    policy: Policy, certainty: str | float, columns: npt.NDArray[np.int64], built: BuiltSet
) -> tuple[Threshold, ...]:
    """One threshold a phrase.

    A photo that shows any of a policy's phrases is no false alarm of it; one of `unlike` is.
    """
    judged = columns[: len(columns) - len(policy.unlike)]
    return tuple(
        threshold(built.background_q8(int(row), judged), certainty, len(judged)) for row in columns
    )


def _upgrade_q8(
    policy: Policy, columns: npt.NDArray[np.int64], built: BuiltSet
) -> npt.NDArray[np.int32] | None:
    if policy.upgrade is None:
        return None
    found = _thresholds(policy, policy.upgrade.certainty, columns, built)
    return np.array([limit.margin_q8 for limit in found], np.int32)


def fingerprint(policy: Policy, encoder_hash: bytes) -> str:
    """Names what decides a policy's state.

    The same text for the same policy on the same encoder; keys that are left out do not count, so
    that a later version with more keys goes on with the state.
    """
    judged = policy.model_dump_json(exclude=_NOT_STATE, exclude_defaults=True)
    return hashlib.sha256(judged.encode() + encoder_hash).hexdigest()[:16]


def _period(
    policy: Policy, period_of: Callable[[New], Callable[[int], int]] | None
) -> Callable[[int], int] | None:
    new = policy.new
    if period_of is None or not isinstance(new, New) or new.window not in CALENDAR_WINDOWS:
        return None
    return period_of(new)


def memory_key(policy: Policy, encoder_hash: bytes) -> str:
    """Names what a policy remembers: its name, its words and how it looks at them.

    Editing anything else goes on with the memory.
    """
    new = policy.new
    kept = [policy.name, policy.any_of, policy.all_of, policy.none_of]
    kept += [new.of, new.per] if isinstance(new, New) else []
    kept += [[zone.name for zone in policy.zones]] if policy.zones else []
    kept += ["caption"] if policy.hears else []
    return hashlib.sha256(json.dumps(kept).encode() + encoder_hash).hexdigest()[:16]
