"""What a policy may do: one model an action."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from moteye.core.language.values import (
    Duration,
    Strict,
    Template,
    closest,
    one_or_many,
    template_of,
)

_PROBABILITY = "{% if probability is not none %}, probability {{ probability }}{% endif %}"
_CAPTION = "{% if caption %}: {{ caption }}{% endif %}"


class LogAction(Strict):
    """A line in the agent's log."""

    kind: Literal["log"] = "log"
    message: Template = "{{ phrase }} on {{ camera }}" + _PROBABILITY


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


def _without_password(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("a password in a web address ends up in logs|use headers: or secret:")
    return url


class WebhookAction(Strict):
    """An HTTP POST of `body`, or without it of the alert: plain JSON, or a CloudEvents envelope.

    `secret` names the signing secret in the agent's configuration.
    """

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_without_password)]
    body: Template | None = None
    format: Literal["alert", "cloudevent"] = "alert"
    secret: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = 5.0

    @property
    def shown_url(self) -> str:
        """The address without what may be a token: path, query and fragment."""
        parts = urlsplit(self.url)
        hidden = "/…" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{parts.netloc}{hidden}"


class NotifyAction(Strict):
    """A notification to targets that the agent's configuration names; `picture` goes along."""

    kind: Literal["notify"] = "notify"
    to: Annotated[list[str], BeforeValidator(one_or_many), Field(min_length=1)]
    title: Template = "{{ phrase }} on {{ camera }}"
    body: Template = "{{ policy }}, {{ time }}" + _PROBABILITY + _CAPTION
    picture: bool = True


def _json_only(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise ValueError("only texts, numbers, lists and maps|put dates in quotes") from None
    _check_texts(value)
    return value


def _check_texts(value: object) -> None:
    """Every text within is a template."""
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(inner, str):
        template_of(inner)
    elif not isinstance(inner, (int, float, type(None))):
        for item in inner:  # type: ignore[attr-defined]
            _check_texts(item)


JsonMap = Annotated[dict[str, Any], AfterValidator(_json_only)]


class HomeAssistantAction(Strict):
    """A service call, or an event on Home Assistant's bus that carries the alert."""

    kind: Literal["home_assistant"] = "home_assistant"
    service: Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")] | None = None
    event: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")] | None = None
    target: JsonMap = {}
    data: JsonMap = {}

    @model_validator(mode="after")
    def _one_of_them(self) -> "HomeAssistantAction":
        if (self.service is None) == (self.event is None):
            raise ValueError("either a service or an event|home_assistant: light.turn_on")
        return self


class CommandAction(Strict):
    """A program from the list in the agent's configuration, by its name there."""

    kind: Literal["command"] = "command"
    run: Annotated[str, Field(min_length=1)]


class CaptureAction(Strict):
    """Ask the camera for the picture that decided. Needs `frames: true` on the device."""

    kind: Literal["capture"] = "capture"


class SaveAction(Strict):
    """The picture that decided, as a file. Needs `frames: true` on the device."""

    kind: Literal["save"] = "save"
    dir: Annotated[Template, Field(min_length=1)]


ACTIONS: dict[str, type[BaseModel]] = {
    "log": LogAction,
    "mqtt": MqttAction,
    "webhook": WebhookAction,
    "notify": NotifyAction,
    "home_assistant": HomeAssistantAction,
    "command": CommandAction,
    "save": SaveAction,
    "capture": CaptureAction,
}
MAIN_SETTING = {
    "log": "message",
    "mqtt": "topic",
    "webhook": "url",
    "notify": "to",
    "home_assistant": "service",
    "command": "run",
    "save": "dir",
    "capture": None,
}


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
    main = MAIN_SETTING[kind]
    if main and (isinstance(settings, str) or (kind == "notify" and isinstance(settings, list))):
        settings = {main: settings}
    if not isinstance(settings, dict):
        hint = f"or its {main} as text" if main else f"write - {kind}"
        raise ValueError(f"{kind} wants a map of settings|{hint}")
    return {"kind": kind, **settings}


Action = Annotated[
    Annotated[
        LogAction
        | MqttAction
        | WebhookAction
        | NotifyAction
        | HomeAssistantAction
        | CommandAction
        | SaveAction
        | CaptureAction,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_action),
]
Actions = Annotated[list[Action], Field(min_length=1)]
