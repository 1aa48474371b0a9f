"""Webhook signatures as Standard Webhooks has them: over id, time and body (T58).

https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp` (unix s) and
`webhook-signature`, one `v1,<base64>` a secret, with a space between.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

TOLERANCE_S = 300


def signed_headers(
    message_id: str, timestamp_s: int, body: bytes, secrets: Iterable[str]
) -> dict[str, str]:
    """The headers of a message; without secrets no signature."""
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp_s)}
    signatures = [_signature(secret, message_id, timestamp_s, body) for secret in secrets]
    if signatures:
        headers["webhook-signature"] = " ".join(f"v1,{text}" for text in signatures)
    return headers


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[str], *, now_s: int) -> str:
    """The id of a message that one of `secrets` signed within TOLERANCE_S; headers in lower case.

    Raises ValueError, saying what is wrong, for any other.
    """
    try:
        message_id, text = headers["webhook-id"], headers["webhook-timestamp"]
        offered = headers["webhook-signature"].split(" ")
    except KeyError as error:
        raise ValueError(f"no header {error}") from None
    if not text.isascii() or not text.isdigit() or abs(now_s - int(text)) > TOLERANCE_S:
        raise ValueError("the time is too far from now")
    wanted = [f"v1,{_signature(secret, message_id, int(text), body)}" for secret in secrets]
    # All are compared, each in constant time, so that the answer's time tells nothing.
    matches = [hmac.compare_digest(a.encode(), b.encode()) for a in wanted for b in offered]
    if not any(matches):
        raise ValueError("the signature does not fit")
    return message_id


def _signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
