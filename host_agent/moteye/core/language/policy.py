"""The models of a policy."""

import hashlib
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from moteye.core.language.actions import Actions
from moteye.core.language.caption import SaysText
from moteye.core.language.conditions import While
from moteye.core.language.new import New, NewOrNot
from moteye.core.language.places import Group, Zone, fits
from moteye.core.language.rules import (
    ChangeText,
    Cooldown,
    CooldownText,
    CountText,
    Defer,
    Escalation,
    Mode,
    Severity,
    Upgrade,
)
from moteye.core.language.values import (
    MAX_PHRASES,
    Duration,
    Strict,
    certainty_of,
    one_or_many,
    phrases_of,
)

MAX_PICTURES = 64
MAX_NAME_CHARS = 64


def _see(value: object) -> object:
    """A phrase, a list of which any counts, or a map of `any`, `all`, `not` and `like`."""
    if not isinstance(value, dict):
        return phrases_of(value)
    if not value.keys() & {"any", "all", "like"} and set(value) <= {"not"}:
        raise ValueError("`not` alone never begins|say in any: or all: what to see")
    return value


def _zones(value: object) -> object:
    return [value] if isinstance(value, (dict, str, Zone)) else value


def _pictures(value: object) -> object:
    paths = value if isinstance(value, list) else [value]
    if not 1 <= len(paths) <= MAX_PICTURES:
        raise ValueError(f"one to {MAX_PICTURES} pictures are wanted|like: [a.jpg, b.jpg]")
    for path in paths:
        if not isinstance(path, str) or not path.strip():
            raise ValueError(f"{path!r} is not a picture's path|like: [ficus1.jpg, ficus2.jpg]")
    return paths


class See(Strict):
    """Several phrases at once: one of `any`, every one of `all`, none of `not`.

    `like` are paths of example pictures, which together stand as one more of `any`; `unlike` what
    is easily taken for it, and must be clearly less there.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    any: Annotated[list[str], BeforeValidator(phrases_of)] = []
    all: Annotated[list[str], BeforeValidator(phrases_of)] = []
    none: Annotated[list[str], BeforeValidator(phrases_of)] = Field(default=[], alias="not")
    like: Annotated[list[str], BeforeValidator(_pictures)] = []
    unlike: Annotated[list[str], BeforeValidator(phrases_of)] = []

    @property
    def like_name(self) -> str:
        """What the examples are called where a phrase stands: like ficus1.jpg +4 #a1b2."""
        name = self.like[0].replace("\\", "/").rpartition("/")[2][:MAX_NAME_CHARS]
        more = f" +{len(self.like) - 1}" if len(self.like) > 1 else ""
        tag = hashlib.sha256("\n".join(self.like).encode()).hexdigest()[:4]
        return f"like {name}{more} #{tag}"

    @model_validator(mode="after")
    def _each_once(self) -> "See":
        seen: set[str] = set()
        for phrase in (*self.any, *self.all, *self.none, *self.unlike):
            if phrase in seen:
                raise ValueError(f"{phrase!r} stands in two of any, all and not|keep one")
            seen.add(phrase)
        if len(seen) > MAX_PHRASES:
            raise ValueError(f"{len(seen)} phrases|at most {MAX_PHRASES}")
        return self


class Policy(Strict):
    """What to watch for, how sure to be, and what to do.

    `see` phrases, or `caption` what the device says; `certainty` likely (one false alarm in 1,000
    background frames), sure (one in 10,000) or a probability; `hold_s` how long it must be seen
    without a break, `linger_s` how long unseen before the episode ends; `finally_` and `else_` what
    to do at the end of an episode that alerted, or did not.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = ""
    description: str = ""
    see: Annotated[
        Annotated[list[str], Tag("see-list")] | Annotated[See, Tag("see-map")],
        Discriminator(lambda value: "see-map" if isinstance(value, (dict, See)) else "see-list"),
        BeforeValidator(_see),
    ] = []
    caption: SaysText | None = None
    changes: ChangeText | None = None
    zones: Annotated[list[Zone], BeforeValidator(_zones)] = Field(default=[], alias="in")
    count: CountText | None = None
    new: NewOrNot = False
    instant: bool = False
    certainty: Annotated[str | float, BeforeValidator(certainty_of)] = "likely"
    hold_s: Duration = Field(default=0.0, alias="for")
    gone_s: Duration = Field(default=0.0, alias="gone")
    linger_s: Duration = Field(default=0.0, alias="linger")
    cooldown: CooldownText = Cooldown.model_validate({"for": "1m"})
    cameras: Annotated[
        list[
            Annotated[
                Annotated[str, Tag("pattern")] | Annotated[Group, Tag("group")],
                Discriminator(lambda value: "group" if isinstance(value, Group) else "pattern"),
            ]
        ],
        BeforeValidator(one_or_many),
        Field(min_length=1),
    ] = ["*"]
    hours: While | None = Field(default=None, alias="while")
    defer: Defer = ""
    severity: Severity = "warning"
    upgrade: Upgrade | None = None
    mode: Mode = "queued"
    escalate: Escalation | None = None
    then: Actions
    finally_: Actions | None = Field(default=None, alias="finally")
    else_: Actions | None = Field(default=None, alias="else")

    @model_validator(mode="after")
    def _fits_together(self) -> "Policy":
        for key, wrong, reason in self._clashes():
            if wrong:
                raise ValueError(f"{key}@{reason}")
        return self

    def _clashes(self) -> list[tuple[str, object, str]]:
        """Keys that do not go together: the key to show, whether it is so, and the words."""
        untimed = self.hours is None or not self.hours.timed
        per_class = "class" in self.cooldown.per
        return [
            (
                "gone",
                self.gone_s and (self.new or self.hold_s),
                "`gone` does not go with `new` or `for`|gone: 10m alone: was seen, then not",
            ),
            (
                "new",
                isinstance(self.new, New) and self.new.per == "zone" and not self.zones,
                "`per: zone` needs zones|in: says which; or per: camera",
            ),
            (
                "new",
                self._tells_apart and self.changes,
                "`changes` has no things to tell apart|leave new: out",
            ),
            (
                "see",
                self.unlike and (self.boxed or self.gone_s),
                "`unlike` is about what the whole picture shows|leave out in, count and gone",
            ),
            (
                "instant",
                self.instant and self.hold_s,
                "`instant` does not go with `for`|leave one of them out",
            ),
            (
                "defer",
                self.defer and untimed,
                "`defer` needs a `while` to wait for|while: {time: 08:00-22:00, …}",
            ),
            (
                "changes",
                self.changes and self.see,
                "`changes` does not go with `see`|write two policies",
            ),
            (
                "caption",
                self.caption and (self.see or self.changes),
                "`caption` does not go with `see` and `changes`"
                "|write two policies; while: {policy: {name: other, camera: same}} joins them",
            ),
            (
                "caption",
                self.caption and (self.boxed or self._tells_apart),
                "`caption` is about a sentence|leave out in, count and new: instance",
            ),
            (
                "changes",
                self.changes and (self.boxed or self.gone_s or self.upgrade),
                "`changes` is about the whole picture|leave out in, count, gone and upgrade",
            ),
            (
                "see",
                not self.changes and not self.phrases,
                "'see' is missing|say what to look for: see: a potted plant",
            ),
            (
                "upgrade",
                self.gone_s and self.upgrade,
                "`upgrade` does not go with `gone`|leave one of them out",
            ),
            (
                "count",
                self.count and (self.all_of or self.gone_s),
                "`count` counts what `any` names|leave out all: and gone:",
            ),
            (
                "cooldown",
                per_class and (self.all_of or self.gone_s or self.count),
                "a cooldown per class is for phrases of which any counts"
                "|leave out all, gone and count",
            ),
        ]

    @property
    def _tells_apart(self) -> bool:
        return isinstance(self.new, New) and self.new.of == "instance"

    @property
    def hears(self) -> bool:
        """Whether it is about captions, and not about frames."""
        return self.caption is not None or (
            self.changes is not None and self.changes.of == "caption"
        )

    @property
    def cooldown_s(self) -> float:
        """The least time between two alerts."""
        return self.cooldown.for_s

    @property
    def boxed(self) -> bool:
        """Whether it is about things with a place in the picture."""
        return bool(self.zones or self.count)

    @property
    def groups(self) -> list[Group]:
        """The groups among its cameras."""
        return [camera for camera in self.cameras if isinstance(camera, Group)]

    @property
    def any_of(self) -> list[str]:
        """Phrases of which one must be seen, or said, and the name of the examples."""
        if self.caption is not None:
            return self.caption.says
        if not isinstance(self.see, See):
            return self.see
        return [*self.see.any, self.see.like_name] if self.see.like else self.see.any

    @property
    def all_of(self) -> list[str]:
        """Phrases that must all be seen."""
        return self.see.all if isinstance(self.see, See) else []

    @property
    def none_of(self) -> list[str]:
        """Phrases of which none may be seen, or said."""
        if self.caption is not None:
            return self.caption.none
        return self.see.none if isinstance(self.see, See) else []

    @property
    def unlike(self) -> list[str]:
        """Phrases that what is seen, or said, must clearly exceed."""
        if self.caption is not None:
            return self.caption.unlike
        return self.see.unlike if isinstance(self.see, See) else []

    @property
    def phrases(self) -> list[str]:
        """All phrases: `any`, then `all`, then `not`, then `unlike`."""
        return [*self.any_of, *self.all_of, *self.none_of, *self.unlike]

    @property
    def patterns(self) -> list[str]:
        """The ids in its `cameras`, with * and ?, those of groups among them."""
        return [
            pattern
            for camera in self.cameras
            for pattern in (camera.cameras if isinstance(camera, Group) else [camera])
        ]

    def watches(self, device: str) -> bool:
        """Whether a device's id fits one of the `cameras`."""
        return fits(device, self.patterns)
