"""Who may import whom. The table in docs/architecture.md, held by the imports themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "host_agent" / "moteye"
SHELLS = {"home", "link", "text", "store", "actions", "api", "cli", "agent", "camera", "compiler"}
SHELLS |= {"imaging", "config", "policies", "resources", "ledger", "schedule", "history", "keys"}
SHELLS |= {"clock", "conformance", "doctor", "feedback", "client", "house", "service", "switches"}
SHELLS |= {"topics", "in_force", "reception", "agreement", "supervision", "endings", "judge"}
SHELLS |= {"whole_file"}
APART = ("home", "link", "text", "actions", "camera", "compiler", "store")
IMPURE = {"asyncio", "socket", "time", "os", "pathlib", "datetime", "random", "sqlite3"}
IMPURE |= {"aiomqtt", "amqtt", "httpx", "subprocess", "threading", "sqlalchemy", "astral"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(names: set[str], depth: int = 1) -> set[str]:
    return {".".join(name.split(".")[:depth]) for name in names}


def broken(folder: Path, forbidden: set[str], depth: int = 1) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in sorted(roots(imports(path), depth) & forbidden)
    ]


def test_core_does_no_io_and_knows_no_shell():
    assert broken(AGENT / "core", IMPURE) == []
    assert broken(AGENT / "core", {f"moteye.{shell}" for shell in SHELLS}, depth=2) == []


def test_shells_do_not_know_the_agent_or_the_commands():
    for shell in APART:
        assert broken(AGENT / shell, {"moteye.agent", "moteye.cli"}, depth=2) == []


@pytest.mark.parametrize("shell", APART)
def test_shells_do_not_know_each_other(shell):
    others = {f"moteye.{other}" for other in APART}
    assert broken(AGENT / shell, others - {f"moteye.{shell}"}, depth=2) == []


def test_protocol_imports_nothing_of_ours():
    ours = {"moteye", "moteye_training"}
    assert broken(ROOT / "protocol" / "moteye_protocol", ours) == []


def test_nobody_imports_training_tests_or_examples():
    for folder in (AGENT, ROOT / "device", ROOT / "protocol"):
        assert broken(folder, {"moteye_training", "tests", "examples"}) == []


def test_firmware_imports_only_what_a_device_has():
    host_only = {"moteye", "numpy", "pydantic", "msgpack", "typing", "dataclasses", "pathlib"}
    assert broken(ROOT / "device" / "firmware", host_only) == []


def test_t63_no_deadline_of_the_firmware_ends_a_read_that_goes_on():
    """MicroPython's wait_for may lose a byte that was read: a deadline ends the connection."""
    for path in sorted((ROOT / "device" / "firmware").glob("*.py")):
        assert deadlines(path.read_text()) == [], path.name
    for text in ("asyncio.wait_for(x, 1)", "from asyncio import wait_for_ms as w"):
        assert deadlines(text) == [1], "it would be noticed"


def test_no_deadline_of_the_agent_forgets_that_a_task_was_told_to_end():
    """Before Python 3.12 wait_for does, where the answer comes at the same moment."""
    for path in sorted(AGENT.rglob("*.py")):
        assert deadlines(path.read_text()) == [], f"{path.name}: use asyncio.timeout"


def deadlines(text: str) -> list[int]:
    """The lines that name asyncio's wait_for or wait_for_ms."""
    names = ("wait_for", "wait_for_ms")
    found = []
    for node in ast.walk(ast.parse(text)):
        named = isinstance(node, ast.Attribute) and node.attr in names
        imported = isinstance(node, ast.ImportFrom) and any(n.name in names for n in node.names)
        if named or imported:
            found.append(node.lineno)
    return found


def test_kernels_include_only_freestanding_headers():
    freestanding = {"<stdint.h>", "<stddef.h>", "<string.h>", "<stdbool.h>"}
    for path in sorted((ROOT / "device" / "kernels").rglob("*.[ch]")):
        # The compiler's own headers of vector instructions, for the kernels that are made of them.
        vectors = {"m55": {"<arm_mve.h>"}, "x86": {"<immintrin.h>"}}
        allowed = freestanding | vectors.get(path.parent.name, set())
        for line in path.read_text().splitlines():
            if line.startswith("#include"):
                header = line.split()[1]
                assert header in allowed or header.startswith('"'), f"{path.name}: {line}"


def test_this_test_notices_a_broken_direction(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text("import asyncio\nfrom moteye.link import devices\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert broken(tmp_path, IMPURE) == ["wrong.py imports asyncio"]
    assert broken(tmp_path, {"moteye.link"}, depth=2) == ["wrong.py imports moteye.link"]
