"""T59: what is secret in the configuration is in no representation, error, row or log line."""

import base64
import json
import traceback
from pathlib import Path

import pytest
from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.config import load_settings
from moteye.core.language import parse_policy
from moteye.errors import ActionError, ConfigError
from support import canary
from support.web import web_server

CANARY = "CaNaRy59"
ALERT = Alert("ab12" * 4, "p", "cam", "a cat", 0.9, 2, 1, "2026-01-01T10:00:00", 7)


def settings(port: int):
    key = "whsec_" + base64.b64encode((CANARY * 4).encode()).decode()
    return load_settings(
        broker=f"mqtt://user:{CANARY}broker@127.0.0.1:{port}",
        actions={
            "notify": {"phone": f"json://{CANARY}user:{CANARY}pass@127.0.0.1:{port}/{CANARY}path"},
            "webhook": {"secrets": {"default": key}, "allow": [f"127.0.0.1:{port}"]},
            "home_assistant": {"url": f"http://127.0.0.1:{port}", "token": f"{CANARY}token"},
        },
    )


def told(text: str) -> bool:
    encoded = base64.b64encode((CANARY * 4).encode()).decode()
    return CANARY.lower() in text.lower() or encoded in text


def test_t59_no_representation_of_the_settings_shows_a_secret():
    found = settings(1883)
    for text in (repr(found), str(found), found.model_dump_json(), repr(found.broker_url)):
        assert not told(text)
    assert found.actions.notify["phone"].get_secret_value().count(CANARY) == 3, "they are there"


@pytest.mark.parametrize("status", [403, 500])
async def test_t59_no_failing_action_tells_a_secret(status, caplog, capsys):
    texts = []
    async with web_server(status) as (port, requests):
        found = settings(port)

        async def nothing(*_, **__):
            raise AssertionError

        runner = ActionRunner(nothing, nothing, found.actions)
        actions = ["notify: phone", "home_assistant: light.turn_on", "home_assistant: {event: e}"]
        actions.append(f"webhook: http://127.0.0.1:{port}/")
        for written in actions:
            (action,) = parse_policy(f"see: x\nthen:\n  - {written}\n", "p", "p").then
            texts += [runner.describe(ALERT, action), action.model_dump_json()]
            with pytest.raises(ActionError) as caught:
                await runner.perform(ALERT, action)
            texts += ["".join(traceback.format_exception(caught.value))]
    assert len(requests) == 4
    assert CANARY in json.dumps([headers for _, headers, _ in requests]) or any(
        CANARY.lower() in line.lower() for line, _, _ in requests
    ), "they were used"
    said = capsys.readouterr()
    for text in (*texts, caplog.text, said.out, said.err):
        assert not told(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": {"secrets": {"default": f"{CANARY}"}}},
        {"home_assistant": {"url": f"http://me:{CANARY}@host", "token": "x"}},
        {"notify": {"Not A Name": f"json://{CANARY}"}},
    ],
)
def test_t59_a_complaint_about_the_configuration_does_not_repeat_it(wrong):
    with pytest.raises(ConfigError) as caught:
        load_settings(actions=wrong)
    assert not told("".join(traceback.format_exception(caught.value)))


def test_t59_the_watch_over_the_whole_run_notices_what_it_should(tmp_path):
    found = load_settings().actions
    assert "planted" in found.notify, "every agent of the run has the secrets"
    assert found.home_assistant.token.get_secret_value().startswith(canary.CANARY)
    assert found.webhook.secrets["planted"][0].get_secret_value() == canary.SIGNING
    (tmp_path / "good").write_text("nothing")
    (tmp_path / "dump").write_bytes(b"\x00" + canary.CANARY.upper().encode() + b"\x01")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_text(f"signed with {canary.SIGNING}")
    try:
        leaks = sorted(Path(leak.split()[-1]).name for leak in canary.leaking_files([tmp_path]))
        assert leaks == ["dump", "log"]
    finally:
        for name in ("dump", "deep/log"):
            (tmp_path / name).unlink()
