"""Each rule of SPEC.md has one id, and each id a check or a test; its tables hold."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from moteye.conformance import CHECKS
from moteye_protocol.models import MESSAGES, DeviceMessage, Status
from moteye_protocol.signing import MANIFEST

sys.path.append(str(Path(__file__).resolve().parents[2] / "device" / "firmware"))
import swap_states  # runs under CPython, too

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "protocol" / "SPEC.md").read_text()
ELSEWHERE = tomllib.loads((ROOT / "tests" / "conformance" / "elsewhere.toml").read_text())
RULE = re.compile(r"\[([a-z]+(?:-[a-z]+)?-\d{3})\]")


def test_no_id_stands_twice():
    found = RULE.findall(SPEC)
    assert len(found) > 90
    assert sorted(found) == sorted(set(found))


def test_each_rule_has_a_check_or_a_test_and_not_both():
    assert set(CHECKS) | set(ELSEWHERE) == set(RULE.findall(SPEC))
    assert set(CHECKS) & set(ELSEWHERE) == set()


@pytest.mark.parametrize("rule", ELSEWHERE)
def test_the_named_test_exists(rule):
    path, _, name = ELSEWHERE[rule].partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_tables_follow_from_wire_toml():
    checked = subprocess.run(
        [sys.executable, ROOT / "protocol" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def rows(heading):
    """The cells of the table under a heading, without its own headings."""
    section = SPEC.partition(f"\n{heading}\n")[2]
    lines = [line.strip() for line in section.splitlines()]
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1 :]
    for line in table:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_each_key_of_each_message_is_described():
    told = {topic.strip("`"): keys for topic, keys in rows("## Messages from a device")}
    envelope = set(DeviceMessage.model_fields)
    for name, model in MESSAGES.items():
        if not issubclass(model, DeviceMessage) or model is Status:
            continue
        path = name.replace("_", "/")
        keys = set(model.model_fields) - envelope
        missing = [key for key in keys if f"`{key}`" not in told[path]]
        if name == "reply":  # `further keys by operation`
            missing = [key for key in missing if f"`{key}`" not in SPEC]
        assert missing == [], path


def test_the_states_are_those_of_the_firmware():
    told = {
        (state.strip("`"), event): after
        for state, _, steps in rows("### States")
        for event, after in re.findall(r"`(\w+)` → (\w+)", steps)
    }
    assert told == swap_states.TABLE


def test_the_state_diagram_is_that_of_the_firmware():
    source = (ROOT / "device" / "firmware" / "swap_states.py").read_text()
    drawn = [line.lstrip("# ").rstrip() for line in source.splitlines() if "─" in line]
    section = SPEC.partition("\n### States\n")[2]
    assert [line.strip() for line in section.splitlines() if "─ " in line][: len(drawn)] == drawn


def test_the_manifest_has_the_layout_that_is_described():
    sizes = {"u8": 1, "u32": 4, "8s": 8, "32s": 32}
    at = 0
    for offset, kind, _ in rows("## Keys"):
        assert int(offset) == at
        at += sizes[kind]
    assert at == MANIFEST.size
