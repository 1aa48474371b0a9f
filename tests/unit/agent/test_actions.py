"""Actions against a real HTTP server and a real folder."""

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from moteye.actions import runner as runner_module
from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.core.language import parse_policy
from moteye.errors import ActionError, DeviceRefused, LinkError
from PIL import Image

ALERT = Alert("0123456789abcdef", "p", "cam", "a plant", 0.9, 2.2, 1.0, "2026-01-01T10:00:00", 7)
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def actions(text: str):
    return list(parse_policy(f"see: x\nthen:\n{text}", "p", "p").then)


class Sink:
    """Collects what an action publishes; fails when told to."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.broken = False

    async def publish(self, topic, payload, *, qos=1, retain=False):
        if self.broken:
            raise LinkError("no broker")
        self.published.append((topic, payload, qos, retain))

    async def picture(self, device, frame):
        if self.broken:
            raise DeviceRefused(device, "frame.get", "forbidden")
        assert (device, frame) == ("cam", 7)
        return PICTURE


@asynccontextmanager
async def web_server(*statuses: int):
    """Answers with `statuses` in turn, then with the last; yields its port and the requests."""
    requests: list[tuple[str, dict, bytes]] = []
    left = list(statuses)

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        requests.append((head[0], headers, body))
        status = left.pop(0) if len(left) > 1 else left[0]
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 2)


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def run(sink, monkeypatch):
    monkeypatch.setattr(runner_module, "RETRY_BASE_S", 0.01)
    return ActionRunner(sink.publish, sink.picture).run


async def test_mqtt_publishes_the_alert_as_json(run, sink):
    _, succeeded = await run(ALERT, actions("  - mqtt: home/{{ policy }}\n"))
    topic, payload, qos, retain = sink.published[0]
    assert succeeded
    assert (topic, qos, retain) == ("home/p", 1, False)
    assert json.loads(payload)["phrase"] == "a plant"


async def test_save_writes_the_picture_first_so_that_others_name_it(run, sink, tmp_path):
    text = f"  - mqtt: {{topic: t, payload: '{{{{ picture }}}}'}}\n  - save: {tmp_path}/shots\n"
    alert, succeeded = await run(ALERT, actions(text))
    path = Path(alert.picture)
    assert succeeded
    assert np.array_equal(np.asarray(Image.open(path)), PICTURE)
    assert sink.published[0][1].decode() == str(path)
    assert [file.suffix for file in path.parent.iterdir()] == [".png"]


async def test_an_action_that_fails_does_not_stop_the_others(run, sink):
    sink.broken = True
    alert, succeeded = await run(ALERT, actions("  - save: x\n  - mqtt: t\n  - log\n"))
    assert succeeded
    assert alert.picture is None


async def test_when_no_action_succeeds_it_says_so(run, sink):
    sink.broken = True
    assert (await run(ALERT, actions("  - mqtt: t\n")))[1] is False


async def test_webhook_posts_once_with_an_idempotency_key(run):
    async with web_server(204) as (port, requests):
        _, succeeded = await run(ALERT, actions(f"  - webhook: http://127.0.0.1:{port}/hook\n"))
    assert succeeded
    (line, headers, body), *rest = requests
    assert rest == []
    assert line.startswith("POST /hook ")
    assert headers["idempotency-key"] == ALERT.id
    assert json.loads(body)["id"] == ALERT.id


async def test_webhook_tries_again_after_a_server_error_with_the_same_key(run):
    async with web_server(500, 503, 200) as (port, requests):
        _, succeeded = await run(ALERT, actions(f"  - webhook: http://127.0.0.1:{port}/\n"))
    assert succeeded
    assert len({headers["idempotency-key"] for _, headers, _ in requests}) == 1
    assert len(requests) == 3


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (302, 1), (500, 3), (429, 3)])
async def test_webhook_gives_up(run, status, tries):
    async with web_server(status) as (port, requests):
        _, succeeded = await run(ALERT, actions(f"  - webhook: http://127.0.0.1:{port}/\n"))
    assert not succeeded
    assert len(requests) == tries


def test_data_is_never_a_template():
    alert = Alert("i", "p", "{{ 7*7 }}", "{% x %}", 0.9, 1, 1, "t", 1)
    assert alert.render("{{ camera }} {{ phrase }}") == "{{ 7*7 }} {% x %}"


@pytest.mark.parametrize("template", ["{{ camera.__class__.__mro__ }}", "{{ nope.x }}", "{{"])
def test_templates_that_reach_out_or_break_are_refused(template):
    with pytest.raises(ActionError):
        ALERT.render(template)
