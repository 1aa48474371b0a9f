"""Carrying out a policy's actions for one alert: which kind is done by whom."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from moteye.actions.alert import Alert
from moteye.actions.command import Command
from moteye.actions.home_assistant import HomeAssistant
from moteye.actions.links import FeedbackLinks
from moteye.actions.notify import Notify
from moteye.actions.pictures import GetPicture, Pictures
from moteye.actions.settings import ActionSettings
from moteye.actions.webhook import Webhook
from moteye.core.language import (
    Action,
    CaptureAction,
    CommandAction,
    HomeAssistantAction,
    LogAction,
    MqttAction,
    NotifyAction,
    SaveAction,
    WebhookAction,
)

log = structlog.get_logger("moteye.actions")
Publish = Callable[..., Awaitable[None]]


class ActionRunner:
    """Knows how to do each kind of action; `folder` holds captured pictures."""

    def __init__(
        self,
        publish: Publish,
        picture: GetPicture,
        settings: ActionSettings | None = None,
        folder: Path = Path("pictures"),
        links: FeedbackLinks | None = None,
    ) -> None:
        settings = settings or ActionSettings()
        self.dry_run = settings.dry_run
        self._publish = publish
        self._pictures = Pictures(picture, folder, settings.pictures_mb * 1_000_000)
        self.webhook = Webhook(settings.webhook)
        self._notify = Notify(settings.notify, links)
        self._home_assistant = HomeAssistant(settings.home_assistant)
        self._command = Command(settings.commands)

    async def perform(self, alert: Alert, action: Action) -> Alert:
        """Do one action; returns the alert, with its picture if that was the action.

        In a dry run it is only said what would be done. Raises ActionError or LinkError.
        """
        if self.dry_run:
            log.info("would act", policy=alert.policy, action=self.describe(alert, action))
            return alert
        match action:
            case LogAction():
                message = alert.render(action.message)
                log.info("alert", policy=alert.policy, message=message)
            case MqttAction():
                topic, payload = self._message(alert, action)
                await self._publish(topic, payload, qos=action.qos, retain=action.retain)
            case WebhookAction():
                await self.webhook.post(alert, action)
            case NotifyAction():
                await self._notify.send(alert, action)
            case HomeAssistantAction():
                await self._home_assistant.call(alert, action)
            case CommandAction():
                await self._command.run(alert, action)
            case SaveAction():
                return await self._pictures.save(alert, action)
            case CaptureAction():
                return await self._pictures.capture(alert)
        return alert

    def describe(self, alert: Alert, action: Action) -> str:
        """What the action would do, in a line without secrets.

        Raises ActionError where the configuration lacks what the action names, or a template does
        not work.
        """
        match action:
            case LogAction():
                return f"log: {alert.render(action.message)}"
            case MqttAction():
                topic, payload = self._message(alert, action)
                kept = ", retained" if action.retain else ""
                return f"mqtt: {topic} (qos {action.qos}{kept}): {payload.decode()}"
            case WebhookAction():
                headers, body = self.webhook.request(alert, action)
                signed = "signed" if "webhook-signature" in headers else "not signed"
                return f"webhook: POST {action.shown_url}, {signed}: {body.decode()}"
            case NotifyAction():
                title, text = self._notify.message(alert, action)
                return f"notify: {', '.join(action.to)}: {title} | {text}"
            case HomeAssistantAction():
                path, body = self._home_assistant.request(alert, action)
                return f"home_assistant: POST {path}: {body.decode()}"
            case CommandAction():
                argv = self._command.settings(action).argv
                return f"command: {action.run}: {argv[0]} with {len(argv) - 1} arguments"
            case SaveAction():
                return f"save: the picture to {alert.render_name(action.dir)}"
            case CaptureAction():
                return "capture: the picture from the camera, where its owner allows it"

    @staticmethod
    def _message(alert: Alert, action: MqttAction) -> tuple[str, bytes]:
        payload = alert.render(action.payload) if action.payload is not None else alert.json()
        return alert.render_name(action.topic), payload.encode()
