"""Commands to the agent itself, `_agent/cmd`: which are done, and how each is answered."""

import json
import re
from pathlib import Path

import pytest
from moteye.command_answers import MOST_COMMANDS
from moteye.errors import FleetError
from moteye.fleet_commands import TTL_MS, AgentCommands, obey
from moteye_protocol.codec import pack
from moteye_protocol.signing import sign_command

SPEC = Path(__file__).parents[3] / "protocol" / "SPEC.md"
NOW_MS = 1_800_000_000_000
KEY = bytes(range(32))


class Fleet:
    """Says what it was asked."""

    def __init__(self):
        self.asked = []

    def _note(self, name):
        self.asked.append(name)
        if name == "resume":
            raise FleetError("no rollout is paused or stopped")
        return {"did": name}

    def roll_out(self, data, plan):
        return self._note("rollout")

    def roll_back(self, wanted, plan):
        return self._note("rollback")

    def __getattr__(self, name):
        return lambda: self._note(name)


@pytest.fixture
def fleet():
    return Fleet()


@pytest.fixture
def commands(fleet):
    return AgentCommands(lambda op, args: obey(fleet, op, args), None)


def command(op="status", **changes):
    return {"v": 1, "tid": "t1", "issued": NOW_MS, "op": op, "args": {}, **changes}


def answer(commands, fields, retain=False, now_ms=NOW_MS):
    text = commands.take(pack(fields), retain, now_ms)
    return None if text is None else json.loads(text)


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack([]), pack({}), pack({"tid": 1})])
def test_what_is_no_command_is_not_answered(commands, fleet, payload):
    assert commands.take(payload, False, NOW_MS) is None
    assert answer(commands, command(), retain=True) is None
    assert fleet.asked == []


def test_unsigned_commands_are_refused_where_there_is_a_key(fleet):
    commands = AgentCommands(lambda op, args: obey(fleet, op, args), KEY)
    for payload in (pack(command()), sign_command(bytes(32), pack(command()))):
        said = json.loads(commands.take(payload, False, NOW_MS))
        assert (said["tid"], said["ok"]) == ("t1", False)
        assert "not signed" in said["error"]
    assert fleet.asked == []
    said = json.loads(commands.take(sign_command(KEY, pack(command())), False, NOW_MS))
    assert (said["ok"], fleet.asked) == (True, ["status"])


def test_t06_t08_a_command_is_done_once_and_not_when_it_is_old(commands, fleet):
    first = answer(commands, command("stop"))
    for later_ms in (0, 1, TTL_MS):
        assert answer(commands, command("stop"), now_ms=NOW_MS + later_ms) == first
    assert fleet.asked == ["stop"]
    for off_ms in (-TTL_MS - 1, TTL_MS + 1):
        said = answer(commands, command("stop", tid="t2", issued=NOW_MS + off_ms))
        assert "too old" in said["error"]
    assert fleet.asked == ["stop"]


def test_every_operation_is_answered(commands, fleet):
    section = SPEC.read_text().partition("| op | args |")[2].partition("## Swapping")[0]
    lines = [line for line in section.splitlines() if line.startswith("  | `")]
    told = [op for line in lines for op in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(told) == sorted(["rollout", "rollback", "status", "history", "resume", "stop"])
    for number, op in enumerate(told):
        said = answer(commands, command(op, tid=f"op{number}"))
        assert said["tid"] == f"op{number}"
        assert said["ok"] is (op != "resume")
        assert said.get("result", {"did": op}) == {"did": op}
    assert fleet.asked == told
    for number, wrong in enumerate(
        (command("explode"), command(args=3), command("rollout", args={"groups": "150%"}))
    ):
        said = answer(commands, {**wrong, "tid": f"wrong{number}"})
        assert (said["ok"], bool(said["error"])) == (False, True)


def kept(fleet, path):
    return AgentCommands(lambda op, args: obey(fleet, op, args), None, client_id="us", kept=path)


def test_t06_an_answer_outlasts_the_agent(fleet, tmp_path):
    path = tmp_path / "answers.json"
    first = answer(kept(fleet, path), command("rollback"))
    assert answer(kept(fleet, path), command("rollback")) == first
    assert fleet.asked == ["rollback"]
    later_ms = NOW_MS + TTL_MS + 1
    again = kept(fleet, path)
    answer(again, command("stop", tid="t2", issued=later_ms), now_ms=later_ms)
    assert [entry[0] for entry in json.loads(path.read_text())] == ["t2"], (
        "the old one is forgotten"
    )


def test_t06_a_command_that_the_agent_died_in_is_not_done_again(fleet, tmp_path):
    def dies(op, args):
        fleet.asked.append(op)
        raise SystemExit

    path = tmp_path / "answers.json"
    with pytest.raises(SystemExit):
        AgentCommands(dies, None, kept=path).take(pack(command("stop")), False, NOW_MS)
    said = answer(kept(fleet, path), command("stop"))
    assert (said["ok"], fleet.asked) == (False, ["stop"])
    assert "in the middle" in said["error"]


def test_a_flood_of_commands_is_refused_and_none_of_them_forgotten(fleet, tmp_path):
    commands = kept(fleet, tmp_path / "answers.json")
    said = [answer(commands, command("stop", tid=f"t{number}")) for number in range(300)]
    assert [one["ok"] for one in said].count(True) == len(fleet.asked) == MOST_COMMANDS
    assert "too many" in said[-1]["error"]
    assert answer(commands, command("stop", tid="t0")) == said[0]
    later_ms = NOW_MS + TTL_MS + 1
    assert answer(commands, command("stop", tid="new", issued=later_ms), now_ms=later_ms)["ok"]


def test_an_answer_that_is_too_long_is_kept_as_that(tmp_path):
    path = tmp_path / "answers.json"
    commands = AgentCommands(lambda op, args: {"long": "x" * 100_000}, None, kept=path)
    first = answer(commands, command())
    assert answer(commands, command()) == first
    again = AgentCommands(lambda op, args: {"done": "again"}, None, kept=path)
    assert answer(again, command()) == {"tid": "t1", "ok": True, "result": {}}


@pytest.mark.parametrize("text", ["", "{", "[3]", "[[1, 2]]", '[["a", "b", "c"]]'])
def test_answers_that_cannot_be_read_are_put_aside(fleet, tmp_path, text):
    path = tmp_path / "answers.json"
    path.write_text(text)
    assert answer(kept(fleet, path), command("stop"))["ok"]
    assert (tmp_path / "answers.damaged").read_text() == text


def test_t15_commands_for_another_agent_are_left_to_it(fleet, tmp_path):
    commands = kept(fleet, None)
    assert answer(commands, command("stop", to="them")) is None
    assert fleet.asked == []
    assert answer(commands, command("stop", to="us"))["ok"]
