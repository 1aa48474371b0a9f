"""`moteye conformance`, run as a person would."""

import json

from moteye.conformance import simulated
from support.command import moteye
from support.live import Mosquitto
from support.wire_device import WireDevice


async def test_our_device_keeps_every_rule():
    code, lines, errors = await moteye("conformance", "--simulate", "--json")
    results = [json.loads(line) for line in lines]
    assert [each for each in results if each["outcome"] != "passed"] == []
    assert (code, len(results)) == (0, 65), errors


async def test_a_device_on_a_broker_is_tried_without_power_over_it(tmp_path):
    broker = Mosquitto(tmp_path)
    await broker.start()
    device = WireDevice(broker.port, "porch", fault="off_by_one")
    await device.start()
    try:
        asked = ("conformance", "--device", "porch", "--broker", f"mqtt://127.0.0.1:{broker.port}")
        code, lines, errors = await moteye(*asked, "--json")
        results = {each["id"]: each for each in map(json.loads, lines)}
        assert code == 0, errors
        outcomes = [each["outcome"] for each in results.values()]
        assert (outcomes.count("passed"), outcomes.count("failed")) == (35, 0)
        assert "--simulate" in results["wire-presence-001"]["reason"]
        assert "--swap" in results["score-001"]["reason"]
        code, lines, _ = await moteye(
            *asked, "--swap", "--only", "score-001", "--only", "wire-id-001"
        )
        assert code == 1
        assert "failed 1, not tried 1" in lines[-1]
        assert any("score-001" in line and "FAILED" in line for line in lines)
        code, _, errors = await moteye(*asked, "--only", "wire-tea-001")
        assert code == 1
        assert "no check for wire-tea-001" in errors
    finally:
        await device.stop()
        await broker.stop()


async def test_a_device_that_is_not_there_is_named(tmp_path):
    broker = Mosquitto(tmp_path)
    await broker.start()
    try:
        url = f"mqtt://127.0.0.1:{broker.port}"
        code, _, errors = await moteye("conformance", "--device", "nobody", "--broker", url)
    finally:
        await broker.stop()
    assert code == 1
    assert "birth of nobody: is it on this broker?" in errors.replace("\n", " ")


async def test_neither_device_nor_simulation_is_a_mistake():
    code, _, errors = await moteye("conformance")
    assert code == 1
    assert "either --device ID or --simulate" in errors


async def test_without_mosquitto_the_embedded_broker_serves(monkeypatch):
    monkeypatch.setattr(simulated.shutil, "which", lambda *_, **__: None)
    rules = {"wire-topic-002", "wire-cmd-008", "wire-set-003", "wire-presence-004"}
    results = {each.id: each for each in await simulated.run_simulated(frozenset(rules))}
    assert set(results) == rules
    assert "changes the QoS" in results.pop("wire-topic-002").reason
    assert {each.outcome for each in results.values()} == {"passed"}
