"""Actions against a real HTTP server, a real folder and real programs."""

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pytest
from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.actions.settings import ActionSettings
from moteye.core.language import parse_policy
from moteye.errors import ActionError, DeviceRefused, LinkError
from PIL import Image
from support.web import web_server

ALERT = Alert("0123456789abcdef", "p", "cam", "a plant", 0.9, 2.2, 1.0, "2026-01-01T10:00:00", 7)
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def action(text: str):
    (found,) = parse_policy(f"see: x\nthen:\n  - {text}\n", "p", "p").then
    return found


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


@pytest.fixture
def sink():
    return Sink()


def runner(sink, tmp_path=Path("nowhere"), **settings) -> ActionRunner:
    return ActionRunner(sink.publish, sink.picture, ActionSettings(**settings), tmp_path)


async def failure(coroutine) -> ActionError:
    with pytest.raises(ActionError) as caught:
        await coroutine
    return caught.value


async def test_mqtt_publishes_the_alert_as_json(sink):
    await runner(sink).perform(ALERT, action("mqtt: home/{{ policy }}"))
    topic, payload, qos, retain = sink.published[0]
    assert (topic, qos, retain) == ("home/p", 1, False)
    assert json.loads(payload)["phrase"] == "a plant"


async def test_save_writes_the_picture_and_names_it(sink, tmp_path):
    alert = await runner(sink).perform(ALERT, action(f"save: {tmp_path}/{{{{ camera }}}}"))
    path = Path(alert.picture)
    assert np.array_equal(np.asarray(Image.open(path)), PICTURE)
    assert path.parent.name == "cam"
    assert [file.suffix for file in path.parent.iterdir()] == [".png"]


async def test_capture_keeps_pictures_within_the_limit_and_drops_the_oldest(sink, tmp_path):
    at_work = runner(sink, tmp_path)
    at_work._pictures._most_bytes = 250
    for second in range(5):
        taken = Alert(f"{second}" * 16, "p", "cam", "x", 1, 1, 1, f"2026-01-01T10:00:0{second}", 7)
        taken = await at_work.perform(taken, action("capture"))
    left = sorted(tmp_path.iterdir())
    assert 1 <= len(left) < 5
    assert left[-1] == Path(taken.picture)


async def test_a_camera_whose_owner_keeps_frames_is_not_asked_twice(sink, tmp_path):
    sink.broken = True
    error = await failure(runner(sink, tmp_path).perform(ALERT, action("capture")))
    assert error.permanent
    assert "forbidden" in str(error)


async def test_t43_command_gets_data_by_environment_and_input_never_by_arguments(sink, tmp_path):
    nasty = "x; touch OWNED $(id)\n-o --flag `id`"
    script = tmp_path / "show"
    out = tmp_path / "out"
    script.write_text(f'#!/bin/sh\n{{ echo "$#|$1|$MOTEYE_PHRASE|"; cat; env; }} > {out}\n')
    script.chmod(0o700)
    os.environ["MOTEYE_FLEET_KEY_TEST"] = "a secret"
    alert = Alert("i" * 16, "p", "cam", nasty, 0.9, 1, 1, "t", 1)
    commands = {"show": {"argv": [str(script), "--fixed"]}}
    try:
        await runner(sink, commands=commands).perform(alert, action("command: show"))
    finally:
        del os.environ["MOTEYE_FLEET_KEY_TEST"]
    said = out.read_text()
    assert said.startswith(f"1|--fixed|{nasty}|")
    assert alert.json() in said
    assert "a secret" not in said
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("name", ["; rm -rf /", "$(id)", "-o", "show --more", "unknown"])
async def test_t43_a_command_that_is_not_on_the_list_is_refused(sink, name):
    asked = action(f"command: {{run: {json.dumps(name)}}}")
    error = await failure(
        runner(sink, commands={"show": {"argv": ["/bin/true"]}}).perform(ALERT, asked)
    )
    assert error.permanent
    assert "there: show" in str(error)


async def test_a_command_that_fails_says_so_and_one_that_hangs_is_stopped(sink, tmp_path):
    at_work = runner(
        sink,
        commands={
            "fails": {"argv": ["/bin/sh", "-c", "echo no paper; exit 3"]},
            "hangs": {"argv": ["/bin/sh", "-c", "sleep 300 & sleep 300"], "timeout_s": 0.2},
            "absent": {"argv": ["/nowhere/at/all"]},
        },
    )
    error = await failure(at_work.perform(ALERT, action("command: fails")))
    assert (error.permanent, str(error)) == (True, "command fails: exit status 3: no paper")
    error = await failure(at_work.perform(ALERT, action("command: hangs")))
    assert error.unknown
    error = await failure(at_work.perform(ALERT, action("command: absent")))
    assert error.permanent


async def test_home_assistant_is_called_with_filled_in_data(sink):
    async with web_server(200) as (port, requests):
        settings = {"url": f"http://127.0.0.1:{port}/", "token": "t0ken"}
        at_work = runner(sink, home_assistant=settings)
        light = "home_assistant: {service: light.turn_on, target: {entity_id: light.porch}, "
        await at_work.perform(
            ALERT, action(light + "data: {flash: short, n: [1, '{{ camera }}']}}")
        )
        await at_work.perform(ALERT, action("home_assistant: {event: seen}"))
    (line, headers, body), (second, _, event) = requests
    assert line.startswith("POST /api/services/light/turn_on ")
    assert headers["authorization"] == "bearer t0ken"  # this server lowers letters
    assert json.loads(body) == {"entity_id": "light.porch", "flash": "short", "n": [1, "cam"]}
    assert second.startswith("POST /api/events/seen ")
    assert json.loads(event)["phrase"] == "a plant"


@pytest.mark.parametrize(
    ("status", "permanent", "unknown"), [(401, True, False), (502, False, True)]
)
async def test_home_assistants_answers(sink, status, permanent, unknown):
    async with web_server(status) as (port, _):
        settings = {"url": f"http://127.0.0.1:{port}", "token": "t0ken"}
        asked = action("home_assistant: light.turn_on")
        error = await failure(runner(sink, home_assistant=settings).perform(ALERT, asked))
    assert (error.permanent, error.unknown) == (permanent, unknown)
    error = await failure(runner(sink, home_assistant=settings).perform(ALERT, asked))
    assert (error.permanent, error.unknown) == (False, False), "it was surely not sent"


async def test_notify_sends_through_apprise(sink):
    async with web_server(200) as (port, requests):
        targets = {"phone": f"json://127.0.0.1:{port}/s3cretpath"}
        asked = action("notify: {to: phone, title: '{{ phrase }}!', body: 'on {{ camera }}'}")
        await runner(sink, notify=targets).perform(ALERT, asked)
    body = json.loads(requests[0][2])
    assert (body["title"], body["message"]) == ("a plant!", "on cam")


async def test_notify_tells_an_answer_from_silence_and_hides_what_is_secret(sink):
    async with web_server(403) as (port, _):
        targets = {"phone": f"json://user:s3cretword@127.0.0.1:{port}/s3cretpath"}
        error = await failure(runner(sink, notify=targets).perform(ALERT, action("notify: phone")))
    assert (error.permanent, error.unknown) == (True, False)
    error = await failure(runner(sink, notify=targets).perform(ALERT, action("notify: phone")))
    assert (error.permanent, error.unknown) == (False, True)
    assert "s3cret" not in str(error)
    error = await failure(runner(sink, notify=targets).perform(ALERT, action("notify: [fax]")))
    assert "there: phone" in str(error)


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(sink, capsys):
    at_work = runner(sink, dry_run=True)
    assert await at_work.perform(ALERT, action("mqtt: t")) is ALERT
    assert sink.published == []
    assert at_work.describe(ALERT, action("mqtt: t")).startswith('mqtt: t (qos 1): {"id"')
    with pytest.raises(ActionError):
        await at_work.perform(ALERT, action("command: ring"))


async def test_a_program_that_fills_its_output_is_read_and_only_its_end_kept(sink):
    loud = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1"
    at_work = runner(sink, commands={"loud": {"argv": ["/bin/sh", "-c", loud]}})
    async with asyncio.timeout(20):
        error = await failure(at_work.perform(ALERT, action("command: loud")))
    assert str(error).endswith("the end")
    assert len(str(error)) < 3000
