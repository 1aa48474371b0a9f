"""Which other agents are told of (T15)."""

import json
from collections import Counter

import pytest
from moteye.core.ownership import Ownership
from moteye.other_agents import OtherAgents


class House:
    def __init__(self, *patterns):
        self.counters = Counter()
        self.own = Ownership(patterns)
        self.others = OtherAgents("us", lambda: self.own, self.counters)

    def status(self, client, state):
        return self.others.heard_status(json.dumps({"state": state, "client": client}).encode())

    def set(self, client, *devices):
        self.others.heard_set(json.dumps({"client": client, "devices": devices}).encode())


def test_t15_an_agent_with_other_devices_is_no_trouble():
    house = House("hall-*")
    house.status("them", "online")
    house.set("them", "yard", "cellar-?")
    assert house.counters["other_agents"] == 0
    assert house.others.own("cellar-1")
    assert not house.others.own("hall-1")


@pytest.mark.parametrize("status_first", [True, False])
def test_t15_an_agent_with_the_same_devices_is_told_of_once_a_visit(status_first):
    house = House("hall-*", "yard")
    for _ in range(3):
        if status_first:
            house.status("them", "online")
        house.set("them", "*-1")
        house.status("them", "online")
    assert house.counters["other_agents"] == 1
    house.status("them", "offline")
    house.status("them", "online")
    assert house.counters["other_agents"] == 2


def test_t15_devices_that_come_to_overlap_later_are_noticed():
    house = House("hall-*")
    house.status("them", "online")
    house.set("them", "yard")
    house.own = Ownership(("*",))
    house.set("us", "*")  # our own word, as the broker brings it back
    assert house.counters["other_agents"] == 1


def test_who_has_gone_hides_that_we_are_there_and_owns_nothing():
    house = House("hall-*")
    house.set("them", "yard")
    assert not house.others.own("yard")
    assert not house.status("them", "online")
    assert house.others.own("yard")
    assert house.status("them", "stopped")
    assert not house.others.own("yard")
    assert not house.status("us", "offline")


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[]", b"3", b'{"client": 3}', b'{"client": "x", "devices": 3}',
     b'{"client": "x", "devices": [3]}', b'{"client": "x", "devices": null}', b'{"client": "us"}'],
)  # fmt: skip
def test_what_is_no_word_of_an_agent_is_left_alone(payload):
    house = House("*")
    assert not house.others.heard_status(payload)
    house.others.heard_set(payload)
    house.status("x", "online")
    assert house.counters["other_agents"] == 0


def test_a_crowd_of_agents_is_not_remembered():
    house = House("*")
    for number in range(1000):
        house.set(f"agent-{number}", "*")
    assert len(house.others._all) <= 64
