"""A service call or an event over Home Assistant's HTTP API, at most once."""

import json
from dataclasses import asdict
from typing import Any

import httpx

from moteye.actions.alert import Alert
from moteye.actions.settings import HomeAssistantSettings
from moteye.core.language import HomeAssistantAction
from moteye.errors import ActionError

TIMEOUT_S = 10.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HomeAssistant:
    """Calls one instance."""

    def __init__(self, settings: HomeAssistantSettings | None) -> None:
        self._settings = settings

    def request(self, alert: Alert, action: HomeAssistantAction) -> tuple[str, bytes]:
        """(path, JSON body). Raises ActionError where no instance is configured."""
        if self._settings is None:
            raise ActionError(
                "no Home Assistant is configured: actions: home_assistant: {url: …, token: …}",
                permanent=True,
            )
        data = _filled(alert, action.data)
        if action.event:
            path, content = f"/api/events/{action.event}", {**asdict(alert), **data}
        else:
            domain, _, service = (action.service or "").partition(".")
            path, content = f"/api/services/{domain}/{service}", {**action.target, **data}
        return path, json.dumps(content, ensure_ascii=False).encode()

    async def call(self, alert: Alert, action: HomeAssistantAction) -> None:
        """Raises ActionError: to be tried again where it was surely not sent, else unknown."""
        path, body = self.request(alert, action)
        settings = self._settings
        assert settings is not None
        headers = {
            "authorization": f"Bearer {settings.token.get_secret_value()}",
            "content-type": "application/json",
        }
        url = settings.url.rstrip("/") + path
        try:
            async with httpx.AsyncClient(
                follow_redirects=False, trust_env=False, timeout=TIMEOUT_S
            ) as client:
                response = await client.post(url, content=body, headers=headers)
        except _NOT_SENT as error:
            raise ActionError(f"Home Assistant: {type(error).__name__} {error}".strip()) from error
        except httpx.HTTPError as error:
            text = f"Home Assistant: {type(error).__name__} {error}".strip()
            raise ActionError(text, unknown=True) from error
        if not response.is_success:
            raise ActionError(
                f"Home Assistant: HTTP {response.status_code} for {path}",
                permanent=response.status_code < 500,
                unknown=response.status_code >= 500,
            )


def _filled(alert: Alert, value: Any) -> Any:
    """Every text within lists and maps filled in; keys and other values stay as they are."""
    match value:
        case str():
            return alert.render(value)
        case list():
            return [_filled(alert, item) for item in value]
        case dict():
            return {key: _filled(alert, item) for key, item in value.items()}
    return value
