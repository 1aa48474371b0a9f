"""T59: a secret in every field that can carry one, through a whole run; none comes out anywhere.

The store is a PostgreSQL server, so that its URL has a password, too.
"""

import asyncio
import base64
import faulthandler
import json
import os
import traceback
from pathlib import Path

import aiomqtt
import httpx
import pytest
import sqlalchemy as sa
import structlog
from moteye.agent import Agent
from moteye.api.tokens import Tokens
from moteye.cli.app import app
from moteye.config import load_settings
from moteye.errors import MoteyeError, StoreError
from moteye.keys import FleetKeys
from moteye.store import Batch, Store, state_folder
from moteye.topics import AGENT_TOPIC
from support.live import (
    ScriptedDevice,
    alive,
    cat_and_coffee,
    free_port,
    listening,
    until,
    write_policy,
)
from support.web import web_server
from typer.testing import CliRunner

PLANTED = "CaNaRyInEvErYfIeLd"
SIGNING = "whsec_" + base64.b64encode((PLANTED * 2).encode()).decode()
KEYS = FleetKeys(bytes(range(70, 102)), bytes(range(150, 182)))
POLICY = f"""variables:
  token: {PLANTED}-variable
see: a cat
certainty: p >= 0.3
cooldown: 0s
then:
  - log
  - mqtt: home/cat
  - notify: phone
  - home_assistant: light.turn_on
  - command: ring
  - webhook:
      url: http://127.0.0.1:PORT/{PLANTED}-path?key={PLANTED}-query
      headers: {{Authorization: "Bearer {PLANTED}-header", X-Token: "${{token}}"}}
      secret: other
"""


def configuration(web: int, broker: int, database: str, place: str, policies: Path) -> dict:
    """Everything that the agent may be told, as `moteye.yaml` has it."""
    secret = database.replace("moteye@", f"moteye:{PLANTED}-postgres@")
    assert secret != database
    return {
        "broker": f"mqtt://agent:{PLANTED}-broker@127.0.0.1:{broker}",
        "store": secret,
        "keys": str(policies.parent / "keys.json"),
        "policies": str(policies),
        "api": place,
        "public_url": f"http://{place}",
        "home_assistant": True,
        "actions": {
            "notify": {"phone": f"json://{PLANTED}-u:{PLANTED}-p@127.0.0.1:{web}/{PLANTED}-n"},
            "webhook": {
                "secrets": {"default": SIGNING, "other": [SIGNING, SIGNING]},
                "allow": [f"127.0.0.1:{web}"],
            },
            "commands": {"ring": {"argv": ["/bin/sh", "-c", f"echo {PLANTED}-argument; exit 3"]}},
        },
    }


class Said:
    """All that came out, by where."""

    def __init__(self, *further: str) -> None:
        self.texts: dict[str, str] = {}
        small = base64.b64encode((PLANTED * 2).encode()).decode()
        self._needles = [one.lower() for one in (PLANTED, small, *further)]

    def leaks(self) -> list[str]:
        return [
            f"{where}: …{text[max(0, at - 80) : at + 60]}…"
            for where, text in self.texts.items()
            for needle in self._needles
            if (at := text.lower().find(needle)) >= 0
        ]

    def command(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        text = done.output
        if done.exc_info is not None:
            text += "".join(traceback.format_exception(*done.exc_info))
        self.texts["moteye " + " ".join(arguments)] = text
        return text

    async def ask(self, browser: httpx.AsyncClient, path: str) -> str:
        answer = await browser.get(path)
        self.texts[f"GET {path}"] = answer.text + str(answer.headers)
        return answer.text


PAGES = ("healthz", "readyz", "metrics", "openapi.json", "api/v1/decisions", "api/v1/cameras")
PAGES += ("api/v1/policies", "api/v1/actions/given-up")


async def stream(said: Said, browser: httpx.AsyncClient) -> None:
    """The first decision of the stream."""
    async with browser.stream("GET", "api/v1/events?cursor=0") as answer:
        async for line in answer.aiter_lines():
            said.texts["GET api/v1/events"] = said.texts.get("GET api/v1/events", "") + line
            if line.startswith("data:"):
                return


def broken_ways(said: Said, url: str) -> None:
    """What goes wrong tells no more than what goes well."""
    for name, wrong in (
        ("no such server", f"postgresql://moteye:{PLANTED}@127.0.0.1:1/x"),
        ("no such scheme", f"post gres://moteye:{PLANTED}@127.0.0.1/x"),
        ("no such database", f"mysql://moteye:{PLANTED}@127.0.0.1/x"),
    ):
        with pytest.raises(StoreError) as caught:
            Store(wrong)
        said.texts[name] = "".join(traceback.format_exception(caught.value))
    for name, wrong in (
        ("a broker", {"broker": f"http://u:{PLANTED}@h"}),
        ("an action", {"actions": {"notify": [PLANTED]}}),
        ("a store", {"store": {"url": PLANTED}}),
    ):
        with pytest.raises((MoteyeError, ValueError)) as refused:
            load_settings(**wrong).broker_url  # noqa: B018  it is parsed when it is asked for
        said.texts[f"refused: {name}"] = "".join(traceback.format_exception(refused.value))
    store = Store(url)
    with store._engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE outbox"))
    row = {"job": "1-1", "position": 0, "decision": "d", "policy": "p", "device": "c"}
    row |= {"fired_ms": 1, "action": PLANTED, "alert": PLANTED, "state": "wait"}
    with pytest.raises(StoreError) as failed:
        store.commit(Batch(outbox=[{**row, "attempts": 0, "due_ms": 0, "error": ""}]))
    said.texts["a write that fails"] = "".join(traceback.format_exception(failed.value))
    store.close()


@pytest.fixture(autouse=True)
def _logs_as_before():
    """Commands point the log at what catches their output, which is closed with them."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("status", [200, 500])
async def test_t59_a_secret_in_every_field_comes_out_nowhere(
    status, mosquitto, empty_postgres, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in [name for name in os.environ if name.startswith("MOTEYE_ACTIONS__")]:
        monkeypatch.delenv(name)
    place = f"127.0.0.1:{free_port()}"
    KEYS.save(tmp_path / "keys.json", new=True)
    cat, coffee = cat_and_coffee()
    async with web_server(status) as (web, requests), listening(mosquitto.port) as heard:
        policies = write_policy(tmp_path / "policies", "cat", POLICY.replace("PORT", str(web)))
        monkeypatch.setenv("MOTEYE_ACTIONS__HOME_ASSISTANT__URL", f"http://127.0.0.1:{web}")
        monkeypatch.setenv("MOTEYE_ACTIONS__HOME_ASSISTANT__TOKEN", f"{PLANTED}-long-lived")
        config = tmp_path / "moteye.yaml"
        config.touch(mode=0o600)
        told = configuration(web, mosquitto.port, empty_postgres, place, policies)
        config.write_text(json.dumps(told))
        settings = load_settings()
        token = Tokens(state_folder() / "tokens.json").add("all", ["read", "act", "metrics"])
        said = Said(token, KEYS.device_keys("cam")[0].hex())
        said.texts["settings"] = f"{settings!r} {settings} {settings.model_dump_json()}"
        async with alive(Agent(settings)) as agent:
            async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
                script = ScriptedDevice(client, agent, "cam", session=1)
                await script.say(script.birth(), retain=True)
                await script.look(agent, coffee, coffee, coffee, cat, cat, cat)
                await until(lambda: len(requests) >= 3, "the actions")
                await until(lambda: heard.alerts, "the alert")
                with (tmp_path / "dump").open("w+") as dump:
                    faulthandler.dump_traceback(dump)
                    dump.seek(0)
                    said.texts["a crash dump"] = dump.read()
                headers = {"authorization": f"Bearer {token}"}
                base = f"http://{place}/"
                async with httpx.AsyncClient(base_url=base, headers=headers) as browser:
                    for page in PAGES:
                        assert await said.ask(browser, page), page
                    await stream(said, browser)
        store = Store(settings.store_url, read_only=True)
        (decision,) = [one for one in store.decisions() if one.fired]
        states = {row["state"] for row in store.outbox_of(decision)}
        assert "dead" in states, "the command ended with 3"
        store.close()
        said.texts["_agent"] = "".join(
            f"{topic} {payload!r}" for topic, payload, _ in heard.messages
        )
        assert any(topic.startswith(f"{AGENT_TOPIC}/home/") for topic, *_ in heard.messages)
        for arguments in (
            ("decisions", "--json"),
            ("decisions",),
            ("why", decision.id[:8]),
            ("why", "cat"),
            ("actions", "dead"),
            ("actions", "dead", "--json"),
            ("actions", "test", "cat", "--dry-run"),
            ("actions", "test", "cat"),
            ("policies", "check", "policies", "--strict"),
            ("policies", "report"),
            ("backtest", "--policy", "policies", "--json"),
            ("search", "a cat"),
            ("doctor",),
            ("devices", "list"),
            ("tokens", "list"),
            ("run", "--listen", PLANTED),
        ):
            assert await asyncio.to_thread(said.command, *arguments), arguments
        broken_ways(said, settings.store_url)
    used = json.dumps([(line, headers) for line, headers, _ in requests]).lower()
    for part in ("path", "query", "header", "variable", "long-lived"):
        assert f"{PLANTED}-{part}".lower() in used, "they were used"
    out = capfd.readouterr()
    said.texts["standard output"], said.texts["standard error"] = out.out, out.err
    assert said.leaks() == []
