"""The policy language: text of a YAML file in, checked policies or a list of problems out."""

from moteye.core.language.actions import (
    ACTIONS,
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
from moteye.core.language.caption import WITHIN_S, Says
from moteye.core.language.conditions import Hours, MqttState, PolicyState
from moteye.core.language.new import CALENDAR_WINDOWS, New
from moteye.core.language.parse import Written, check_together, parse_file, parse_policy
from moteye.core.language.places import GRID, Group, Zone
from moteye.core.language.policy import Policy, See
from moteye.core.language.rules import Count, Escalation
from moteye.core.language.templates import pieces
from moteye.core.language.values import DAYS, closest, duration_s

__all__ = [
    "ACTIONS",
    "CALENDAR_WINDOWS",
    "DAYS",
    "GRID",
    "WITHIN_S",
    "Action",
    "CaptureAction",
    "CommandAction",
    "Count",
    "Escalation",
    "Group",
    "HomeAssistantAction",
    "Hours",
    "LogAction",
    "MqttAction",
    "MqttState",
    "New",
    "NotifyAction",
    "Policy",
    "PolicyState",
    "SaveAction",
    "Says",
    "See",
    "WebhookAction",
    "Written",
    "Zone",
    "check_together",
    "closest",
    "duration_s",
    "parse_file",
    "parse_policy",
    "pieces",
]
