"""Each rule of SPEC.md has one id, and each id a check or a test."""

import re
import tomllib
from pathlib import Path

import pytest
from moteye.conformance import CHECKS

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "protocol" / "SPEC.md").read_text()
ELSEWHERE = tomllib.loads((ROOT / "tests" / "conformance" / "elsewhere.toml").read_text())
RULE = re.compile(r"\[([a-z]+(?:-[a-z]+)?-\d{3})\]")


def test_no_id_stands_twice():
    found = RULE.findall(SPEC)
    assert len(found) > 70
    assert sorted(found) == sorted(set(found))


def test_each_rule_has_a_check_or_a_test_and_not_both():
    assert set(CHECKS) | set(ELSEWHERE) == set(RULE.findall(SPEC))
    assert set(CHECKS) & set(ELSEWHERE) == set()


@pytest.mark.parametrize("rule", ELSEWHERE)
def test_the_named_test_exists(rule):
    path, _, name = ELSEWHERE[rule].partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
