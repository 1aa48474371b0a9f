"""One tap on a notification: what it says counts from the next picture, and `why` shows it."""

import json
import re

import aiomqtt
import httpx
import pytest
from moteye.actions.links import VALID_S, FeedbackLinks, LinkRefused, link_key
from moteye.cli.app import app
from moteye.config import load_settings
from moteye.errors import ConfigError
from moteye.store import Store
from support.live import (
    ScriptedDevice,
    cat_and_coffee,
    free_port,
    running_agent,
    until,
    write_policy,
)
from support.web import web_server
from typer.testing import CliRunner

POLICY = "see: a cat\ncertainty: p >= 0.3\ncooldown: 0s\nthen:\n  - notify: phone\n"
KEY = bytes(range(32))


def parts(link: str) -> tuple[str, str, str, str]:
    found = re.search(r"/feedback/(\w+)/(\w+)\?until=(\d+)&sig=([\w-]+)$", link)
    return found.groups()


def test_a_link_is_for_one_alert_one_word_and_a_week():
    now = [1_800_000_000.0]
    links = FeedbackLinks("http://house:8765/", KEY, now_s=lambda: now[0])
    alert, said, until_s, signature = parts(links.of("ab12")["known"])
    links.check(alert, said, until_s, signature)
    for wrong in (
        ("ab13", said, until_s, signature),
        (alert, "wrong", until_s, signature),
        (alert, said, str(int(until_s) + 1), signature),
        (alert, said, "", signature),
        (alert, said, "٣", signature),
        (alert, said, until_s, ""),
        (alert, said, until_s, signature[:-1] + "é"),
    ):
        with pytest.raises(LinkRefused, match="not one that the agent made"):
            links.check(*wrong)
    with pytest.raises(LinkRefused):
        FeedbackLinks("http://house:8765", bytes(32)).check(alert, said, until_s, signature)
    now[0] += VALID_S + 1
    with pytest.raises(LinkRefused, match="too old"):
        links.check(alert, said, until_s, signature)


def test_the_key_is_its_owners_and_stays(tmp_path):
    file = tmp_path / "state" / "links.key"
    assert link_key(file) == link_key(file)
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"short")
    with pytest.raises(ConfigError, match="not a key"):
        link_key(file)


def test_links_without_an_api_lead_nowhere():
    with pytest.raises(ConfigError, match=r"'public_url'.*the API, which is off"):
        load_settings(public_url="http://house:8765")


@pytest.mark.timeout(200)
async def test_one_tap_changes_what_happens_next_and_why_shows_it(mosquitto, tmp_path):
    policies = write_policy(tmp_path / "policies", "cat", POLICY)
    store = f"sqlite:///{tmp_path}/moteye.db"
    cat, coffee = cat_and_coffee()
    place = f"127.0.0.1:{free_port()}"
    async with web_server(200) as (phone, notes), httpx.AsyncClient() as browser:
        settings = {
            "api": place,
            "public_url": f"http://{place}",
            "actions": {"notify": {"phone": f"json://127.0.0.1:{phone}"}},
        }
        live = running_agent(policies, port=mosquitto.port, embedded=False, store=store, **settings)
        async with live as agent, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            script = ScriptedDevice(client, agent, "cam", session=1)
            await script.say(script.birth(), retain=True)
            await script.look(agent, coffee, coffee, coffee, cat, cat, cat)
            await until(lambda: notes, "the notification")
            text = json.loads(notes[0][2])["message"]
            links = dict(re.findall(r"It is (\w+): (\S+)", text))
            assert set(links) == {"known", "wrong"}
            assert "Name it: http" in text
            page = await browser.get(links["wrong"])
            assert (page.status_code, page.text.count("<form")) == (200, 1)
            assert Store(store).marks() == [], "a look, as for a preview, changes nothing"
            for _ in range(2):
                answer = await browser.post(links["wrong"])
                assert "marked wrong" in answer.text, answer.text
            assert len(Store(store).marks()) == 1, "a second tap says nothing new"
            forged = await browser.post(links["wrong"].replace("/wrong?", "/known?"))
            assert forged.status_code == 403
            name = re.search(r"Name it: (\S+)", text)[1]
            assert "<script" not in (await browser.get(name)).text
            for given, status in (("Minka", 200), ("<b>", 404), ("x" * 9999, 404)):
                answer = await browser.post(name, data={"name": given})
                assert answer.status_code == status
                assert "<b>" not in answer.text
            await script.look(agent, coffee, coffee, coffee, cat, cat, cat)
        assert len(notes) == 1, "the same sight alerts nobody again"
    told = CliRunner().invoke(
        app,
        ["why", "cat", "--store", store, "--policies", str(policies)],
        env={"COLUMNS": "160"},
    )
    assert told.exit_code == 0, told.output
    assert re.search(r"marked wrong on \d{4}-\d\d-\d\d", told.output), told.output
