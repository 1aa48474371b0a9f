"""Carrying out a policy's actions for one alert."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import structlog
from PIL import Image

from moteye.actions.alert import Alert
from moteye.core.language import Action, LogAction, MqttAction, SaveAction, WebhookAction
from moteye.errors import ActionError, LinkError, MoteyeError

log = structlog.get_logger("moteye.actions")
WEBHOOK_ATTEMPTS = 3
RETRY_BASE_S = 0.5
Publish = Callable[..., Awaitable[None]]
GetPicture = Callable[[str, int], Awaitable[npt.NDArray[np.uint8]]]


class ActionRunner:
    """Knows how to do each kind of action.

    Pictures are saved first, so that the others can name the file.
    """

    def __init__(self, publish: Publish, picture: GetPicture) -> None:
        self._publish = publish
        self._picture = picture

    async def run(self, alert: Alert, actions: list[Action]) -> tuple[Alert, bool]:
        """Do all of `actions`; one that fails does not stop the others.

        Returns the alert, with its picture if one was saved, and whether at least one action
        succeeded.
        """
        succeeded = False
        for action in sorted(actions, key=lambda action: not isinstance(action, SaveAction)):
            try:
                alert = await self.perform(alert, action)
                succeeded = True
            except MoteyeError as error:
                log.error(
                    "action failed", policy=alert.policy, action=action.kind, reason=str(error)
                )
        return alert, succeeded

    async def perform(self, alert: Alert, action: Action) -> Alert:
        """Do one action; returns the alert, with its picture if that was the action.

        Raises ActionError or LinkError.
        """
        match action:
            case LogAction():
                log.info("alert", policy=alert.policy, message=alert.render(action.message))
            case MqttAction():
                payload = alert.render(action.payload) if action.payload else alert.json()
                await self._publish(
                    alert.render_name(action.topic),
                    payload.encode(),
                    qos=action.qos,
                    retain=action.retain,
                )
            case WebhookAction():
                await self._webhook(alert, action)
            case SaveAction():
                return await self._save(alert, action)
        return alert

    async def _webhook(self, alert: Alert, action: WebhookAction) -> None:
        headers = {
            "content-type": "text/plain" if action.body else "application/json",
            "idempotency-key": alert.key or alert.id,
            **action.headers,
        }
        content = alert.render(action.body) if action.body else alert.json()
        reason, permanent = "", False
        async with httpx.AsyncClient(timeout=action.timeout, follow_redirects=False) as client:
            for attempt in range(WEBHOOK_ATTEMPTS):
                if attempt:
                    await asyncio.sleep(RETRY_BASE_S * 2**attempt)
                try:
                    response = await client.post(
                        action.url, content=content.encode(), headers=headers
                    )
                except httpx.HTTPError as error:
                    reason = f"{type(error).__name__} {error}".strip()
                    continue
                if response.is_success:
                    return
                reason = f"HTTP {response.status_code}"
                if response.status_code < 500 and response.status_code != 429:
                    permanent = True
                    break
        host = httpx.URL(action.url).host
        raise ActionError(f"webhook to {host}: {reason}", permanent=permanent)

    async def _save(self, alert: Alert, action: SaveAction) -> Alert:
        folder = Path(alert.render_name(action.dir)).expanduser()
        try:
            pixels = await self._picture(alert.camera, alert.frame)
            path = await asyncio.to_thread(_write_picture, folder, alert, pixels)
        except (LinkError, OSError) as error:
            raise ActionError(f"picture of frame {alert.frame}: {error}") from error
        return alert.with_picture(str(path))


def _write_picture(folder: Path, alert: Alert, pixels: npt.NDArray[np.uint8]) -> Path:
    """Write beside, then rename: a picture file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = alert.time[:19].replace(":", "-")
    path = (folder / f"{stamp}-{alert.policy}-{alert.camera}-{alert.id[:6]}.png").resolve()
    partial = path.with_suffix(".part")
    Image.fromarray(pixels).save(partial, format="PNG")
    partial.replace(path)
    return path
