"""`caption:`, what a device must say of what it sees, in words."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from moteye.core.language.values import MAX_PHRASES, Duration, Strict, phrases_of

WITHIN_S = 600.0


class Says(Strict):
    """The caption means one of `says`, none of `none`, and clearly less any of `unlike`.

    Captions that agree count together when no more than `within_s` lie between them.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    says: Annotated[list[str], BeforeValidator(phrases_of)]
    none: Annotated[list[str], BeforeValidator(phrases_of)] = Field(default=[], alias="not")
    unlike: Annotated[list[str], BeforeValidator(phrases_of)] = []
    within_s: Duration = Field(default=WITHIN_S, alias="within")

    @model_validator(mode="after")
    def _each_once(self) -> "Says":
        phrases = [*self.says, *self.none, *self.unlike]
        for phrase in phrases:
            if phrases.count(phrase) > 1:
                raise ValueError(f"{phrase!r} stands in two of says, not and unlike|keep one")
        if len(phrases) > MAX_PHRASES:
            raise ValueError(f"{len(phrases)} phrases|at most {MAX_PHRASES}")
        return self


def _says(value: object) -> object:
    """A sentence, or several of which any counts, stands for `says`."""
    return {"says": value} if isinstance(value, (str, list)) else value


SaysText = Annotated[Says, BeforeValidator(_says)]
