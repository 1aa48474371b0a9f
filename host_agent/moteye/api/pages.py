"""What a link of a notification opens: a page that says of one alert what it was."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any, Protocol
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from moteye.actions.links import SAID, FeedbackLinks, LinkRefused
from moteye.errors import FeedbackError, StoreError

MOST_FORM_BYTES = 4096
_SEND = "document.forms[0].submit()"
_STYLE = "body{font:1.2em sans-serif;margin:2em}button,input{font:inherit;padding:.5em}"


class TakesFeedback(Protocol):
    """Who takes what is said."""

    async def feedback(self, request: dict[str, str]) -> Mapping[str, Any]:
        """Take what somebody says of an alert. Raises FeedbackError, StoreError."""


def install(app: FastAPI, service: TakesFeedback, links: FeedbackLinks) -> None:
    """Serve the links' pages. Their signature is what lets somebody in."""
    place = "/feedback/{alert}/{said}"

    @app.get(place, include_in_schema=False)
    async def ask(alert: str, said: str, until: str = "", sig: str = "") -> HTMLResponse:
        """Changes nothing: the page asks by itself, with a POST, unless a name is wanted."""
        refused = _refusal(links, alert, said, until, sig)
        if refused is not None:
            return refused
        field = ""
        if said == "name":
            field = '<input name="name" required maxlength="64" autofocus placeholder="Minka"> '
        script = "" if field else f"<script>{_SEND}</script>"
        form = f'<form method="post">{field}<button>{SAID[said]}</button></form>{script}'
        return _page(f"<p>Alert {escape(alert[:8])}</p>{form}")

    @app.post(place, include_in_schema=False)
    async def take(
        request: Request, alert: str, said: str, until: str = "", sig: str = ""
    ) -> HTMLResponse:
        refused = _refusal(links, alert, said, until, sig)
        if refused is not None:
            return refused
        word = await _name(request) if said == "name" else said
        try:
            mark = await service.feedback({"event": alert, "said": word})
        except (FeedbackError, StoreError) as error:
            status = 404 if isinstance(error, FeedbackError) else 503
            return _page(f"<p>Not taken: {escape(str(error))}</p>", status)
        return _page(
            f"<p>{escape(str(mark['text']))}. It counts from the next picture on.</p>"
            f"<p>To take it back: <code>moteye feedback undo {int(mark['mark'])}</code></p>"
        )


def _refusal(
    links: FeedbackLinks, alert: str, said: str, until: str, sig: str
) -> HTMLResponse | None:
    try:
        links.check(alert, said, until, sig)
    except LinkRefused as error:
        return _page(f"<p>{escape(str(error))}</p>", 403)
    return None


async def _name(request: Request) -> str:
    """The form's one field; nothing where there is none, or too much."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            return ""
    return parse_qs(body.decode(errors="replace")).get("name", [""])[0]


def _page(content: str, status: int = 200) -> HTMLResponse:
    # Nothing but this page's own two lines of script and style is run.
    digests = [hashlib.sha256(text.encode()).digest() for text in (_SEND, _STYLE)]
    send, style = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    headers = {
        "content-security-policy": f"default-src 'none'; script-src {send}; style-src {style}; "
        "form-action 'self'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>moteye</title>'
    view = '<meta name="viewport" content="width=device-width">'
    return HTMLResponse(f"{head}{view}<style>{_STYLE}</style>{content}</html>", status, headers)
