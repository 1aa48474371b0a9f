"""An HTTP POST: one attempt, to the address that was judged, without redirects."""

import asyncio
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from moteye.actions.addresses import AddressRules
from moteye.actions.alert import Alert
from moteye.actions.events import cloud_event
from moteye.actions.settings import WebhookSettings
from moteye.actions.signing import signed_headers
from moteye.core.language import WebhookAction
from moteye.errors import ActionError

LONGEST_WAIT_S = 3600.0
MOST_HEADER_CHARS = 4096


class Webhook:
    """Posts alerts. `rules` and `now_s` are handed in by tests."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        rules: AddressRules | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._secrets = {
            name: [secret.get_secret_value() for secret in secrets]
            for name, secrets in settings.secrets.items()
        }
        self._rules = rules or AddressRules(settings.allow)
        self._now_s = now_s

    def request(self, alert: Alert, action: WebhookAction) -> tuple[dict[str, str], bytes]:
        """Headers and body. Raises ActionError for a secret or template that does not work."""
        if action.body is not None:
            body, kind = alert.render(action.body).encode(), "text/plain"
        elif action.format == "cloudevent":
            body = json.dumps(cloud_event(alert), ensure_ascii=False).encode()
            kind = "application/cloudevents+json"
        else:
            body, kind = alert.json().encode(), "application/json"
        key = alert.key or alert.id
        name = action.secret or "default"
        if action.secret and name not in self._secrets:
            raise ActionError(
                f"secret {name!r} is not under actions: webhook: secrets:", permanent=True
            )
        headers = {
            "content-type": kind,
            "idempotency-key": key,
            **{key.lower(): value for key, value in action.headers.items()},
            **signed_headers(key, int(self._now_s()), body, self._secrets.get(name, [])),
        }
        return headers, body

    async def post(self, alert: Alert, action: WebhookAction) -> None:
        """Raises ActionError: permanent for what another attempt would not mend."""
        headers, body = self.request(alert, action)
        url = httpx.URL(action.url)
        try:
            async with asyncio.timeout(action.timeout):
                address = await self._rules.pin(url.host, _port(url))
                status, again = await _post(url, address, headers, body, action.timeout)
        except TimeoutError as error:
            raise ActionError(
                f"webhook to {url.host}: no answer in {action.timeout:g} s"
            ) from error
        except httpx.HTTPError as error:
            text = f"{type(error).__name__} {error}".strip()
            raise ActionError(f"webhook to {url.host}: {text}") from error
        except ActionError as error:
            raise ActionError(f"webhook to {error}", permanent=error.permanent) from error
        if 200 <= status < 300:
            return
        moved = " (redirects are not followed)" if 300 <= status < 400 else ""
        raise ActionError(
            f"webhook to {url.host}: HTTP {status}{moved}",
            permanent=status < 500 and status not in (408, 425, 429),
            retry_after_s=_wait_s(again, self._now_s()),
        )


async def _post(
    url: httpx.URL, address: str, headers: dict[str, str], body: bytes, timeout_s: float
) -> tuple[int, str]:
    """(status, Retry-After). The answer's body is not read."""
    pinned = url.copy_with(host=address)
    port = f":{url.port}" if url.port else ""
    name = f"[{url.host}]" if ":" in url.host else url.host
    async with httpx.AsyncClient(
        follow_redirects=False, trust_env=False, timeout=timeout_s
    ) as client:
        request = client.build_request(
            "POST",
            pinned,
            content=body,
            headers={**headers, "host": f"{name}{port}"},
            extensions={"sni_hostname": url.host},
        )
        response = await client.send(request, stream=True)
        await response.aclose()
        return response.status_code, response.headers.get("retry-after", "")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _wait_s(text: str, now_s: float) -> float | None:
    """What a Retry-After asks for, at most LONGEST_WAIT_S."""
    try:
        wait_s = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, TypeError):
        return None
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)
