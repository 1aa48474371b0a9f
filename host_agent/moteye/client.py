"""For programs of yours: `async for event in moteye.events(policy="new-plant")`.

The agent's API gives decisions as CloudEvents, in order, from a cursor on. A connection that breaks
is made again and goes on where it broke, so that nothing is missed and nothing comes twice.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx

from moteye.errors import MoteyeError

DEFAULT_URL = "http://127.0.0.1:8765"
SILENCE_S = 60.0  # the agent says something every 15 s
MOST_WAIT_S = 30.0


class ApiError(MoteyeError):
    """The agent's API refused: no token, a wrong one, or one without the scope."""


async def events(
    *,
    policy: str | None = None,
    suppressed: bool = False,
    after: int | str = 0,
    follow: bool = True,
    url: str = DEFAULT_URL,
    token: str | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Alerts (with `suppressed` every decision) behind the cursor `after`, then as they come.

    Each event's `cursor` is where to go on later. `token`: else the variable MOTEYE_TOKEN. Without
    `follow` it ends with what is on record. Raises ApiError when the agent refuses.
    """
    secret = token or os.environ.get("MOTEYE_TOKEN", "")
    headers = {"authorization": f"Bearer {secret}", "accept": "text/event-stream"}
    wanted = {"suppressed": str(suppressed).lower(), "follow": str(follow).lower()}
    if policy is not None:
        wanted["policy"] = policy
    cursor, failures = str(after), 0
    timeout = httpx.Timeout(10.0, read=SILENCE_S)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout) as client:
        while True:
            try:
                request = client.stream("GET", "/api/v1/events", params={**wanted, "after": cursor})
                async with request as response:
                    await _raise_for(response)
                    async for line in response.aiter_lines():
                        if line.startswith("data: "):
                            event = json.loads(line[6:])
                            yield event
                            cursor, failures = str(event["cursor"]), 0
                if not follow:
                    return
            except httpx.HTTPError as error:
                if not follow:
                    raise ApiError(f"{url}: {type(error).__name__} {error}".strip()) from error
            failures += 1
            await asyncio.sleep(random.uniform(0.1, min(MOST_WAIT_S, 0.25 * 2**failures)))


async def _raise_for(response: httpx.Response) -> None:
    if response.status_code in (401, 403, 404, 422):
        await response.aread()
        raise ApiError(f"HTTP {response.status_code}: {response.text[:500]}")
    response.raise_for_status()
