"""What a policy may do: one model an action."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from moteye.core.language.values import Duration, Strict, Template, closest


class LogAction(Strict):
    """A line in the agent's log."""

    kind: Literal["log"] = "log"
    message: Template = "{{ phrase }} on {{ camera }}, probability {{ probability }}"


def _topic(topic: str) -> str:
    if not topic or any(letter in topic for letter in "+#\x00"):
        raise ValueError("not a topic to publish on|without + and #")
    return topic


class MqttAction(Strict):
    """A message on a topic; without `payload` the alert as JSON."""

    kind: Literal["mqtt"] = "mqtt"
    topic: Annotated[Template, AfterValidator(_topic)]
    payload: Template | None = None
    qos: Literal[0, 1] = 1
    retain: bool = False


class WebhookAction(Strict):
    """An HTTP POST of `body`, or without it of the alert as JSON, with an Idempotency-Key."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    body: Template | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = 5.0


class SaveAction(Strict):
    """The picture that decided, as a file. Needs `frames: true` on the device."""

    kind: Literal["save"] = "save"
    dir: Annotated[Template, Field(min_length=1)]


MAIN_SETTING = {"log": "message", "mqtt": "topic", "webhook": "url", "save": "dir"}


def _action(value: object) -> object:
    """`log` alone stands for `log: {}`; a string after the colon is the action's main setting."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not an action|for example: - save: alerts")
    ((kind, settings),) = value.items()
    if kind not in MAIN_SETTING:
        raise ValueError(f"unknown action {kind!r}|{closest(kind, MAIN_SETTING)}")
    if settings is None:
        settings = {}
    if isinstance(settings, str):
        settings = {MAIN_SETTING[kind]: settings}
    if not isinstance(settings, dict):
        raise ValueError(f"{kind} wants a map of settings|or its {MAIN_SETTING[kind]} as text")
    return {"kind": kind, **settings}


Action = Annotated[
    Annotated[LogAction | MqttAction | WebhookAction | SaveAction, Field(discriminator="kind")],
    BeforeValidator(_action),
]
Actions = Annotated[list[Action], Field(min_length=1)]
