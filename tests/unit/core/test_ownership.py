"""Whose a device is, and whether two agents have one in common (T15)."""

import fnmatch
from itertools import product

import pytest
from moteye.core.language import parse_policy
from moteye.core.ownership import Ownership, ownership

IDS = ["".join(letters) for size in range(7) for letters in product("ab", repeat=size)]
PATTERNS = ["".join(letters) for size in range(4) for letters in product("ab*?", repeat=size)]
FITTING = {one: {i for i in IDS if fnmatch.fnmatchcase(i, one)} for one in PATTERNS}


def policy(cameras):
    groups = "groups: {front: {cameras: [door, porch-*]}}\n"
    return parse_policy(f"{groups}see: a cat\n{cameras}then: [log]\n", "one.yaml", "one")


def test_t15_devices_are_those_that_any_policy_watches():
    found = ownership([], [policy("cameras: [front, yard]\n"), policy("cameras: roof-?\n")])
    assert found.patterns == ("door", "porch-*", "roof-?", "yard")
    assert all(found.owns(name) for name in ("door", "porch-2", "roof-1", "yard"))
    assert not any(found.owns(name) for name in ("roof-10", "hall", ""))
    assert found.reason == "no policy watches it"


def test_t15_one_policy_without_cameras_watches_all():
    assert ownership([], [policy("cameras: yard\n"), policy("")]).owns("hall")


def test_t15_without_policies_all_devices_are_meant():
    assert ownership([], []) == Ownership(("*",))


def test_t15_devices_that_the_settings_name_come_first():
    found = ownership(["hall", "hall"], [policy("")])
    assert found.patterns == ("hall",)
    assert not found.owns("yard")
    assert found.reason == "it is not among `devices`"


@pytest.mark.parametrize("one", PATTERNS[::3])
def test_t15_patterns_meet_where_some_id_fits_both(one):
    for other in PATTERNS:
        # Both are at most three long: if any id fits both, one of at most six letters does.
        expected = FITTING[one] & FITTING[other]
        shared = Ownership((one,)).shared_with([other])
        assert shared == ((one, other) if expected else None), (one, other)
