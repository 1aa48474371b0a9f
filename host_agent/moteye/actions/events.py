"""The outward form of an alert or a decision: a CloudEvents 1.0 envelope, structured JSON."""

from dataclasses import asdict
from typing import Any

from moteye.actions.alert import Alert

ALERT_TYPE = "dev.moteye.alert"


def cloud_event(alert: Alert) -> dict[str, Any]:
    """The alert's envelope: `id` is the same however often it is sent."""
    return {
        "specversion": "1.0",
        "id": alert.key or alert.id,
        "source": f"/moteye/{alert.camera}",
        "type": ALERT_TYPE,
        "subject": alert.policy,
        "time": alert.time,
        "datacontenttype": "application/json",
        "data": asdict(alert),
    }
