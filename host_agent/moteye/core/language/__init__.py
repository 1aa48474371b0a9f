"""The policy language: text of a YAML file in, checked policies or a list of problems out."""

from moteye.core.language.actions import Action, LogAction, MqttAction, SaveAction, WebhookAction
from moteye.core.language.conditions import Hours
from moteye.core.language.parse import parse_policy
from moteye.core.language.policy import Policy, See
from moteye.core.language.values import DAYS, duration_s

__all__ = [
    "DAYS",
    "Action",
    "Hours",
    "LogAction",
    "MqttAction",
    "Policy",
    "SaveAction",
    "See",
    "WebhookAction",
    "duration_s",
    "parse_policy",
]
