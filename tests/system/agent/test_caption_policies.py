"""Policies about captions with the real firmware, its captioner and an agent."""

import json

import numpy as np
from moteye.config import load_settings
from moteye.core.scoring import prob_q8
from moteye.doctor import examine
from moteye.history import Replay
from moteye.policies import load
from moteye.store import Store
from moteye.text.space import load_space
from support.command import moteye
from support.live import device, free_port, listening, running_agent, until, write_policy

POLICY = """
caption:
  says: [a parked motorcycle, somebody riding a motorcycle]
  unlike: a bicycle in the street
cameras: drive-*
then:
  - log: "{{ camera }} says: {{ caption }}"
"""
RIGHT = "skimage:motorcycle_left"
OTHERS = ("skimage:coffee", "skimage:chelsea", "sklearn:china", "sklearn:flower")


def looking_at(tmp_path, photo: str, port: int, device_id: str, **captions):
    """A simulated device before one photo that says what it sees."""
    folder = tmp_path / device_id
    folder.mkdir()
    path = folder / "scene.yaml"
    path.write_text(f'size: [320, 240]\nloop: true\nshots: [{{photo: "{photo}", seconds: 60}}]\n')
    settings = {"captions": {"enabled": True, **captions}}
    return device(port, f"scene:{path}", folder, device_id=device_id, settings=settings)


async def test_a_policy_of_the_page_fires_on_the_right_photo_and_on_none_of_the_others(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    port, url = free_port(), f"sqlite:///{tmp_path / 'moteye.db'}"
    policies = write_policy(tmp_path / "policies", "motorcycle", POLICY)
    async with (
        running_agent(policies, port=port, embedded=True, store=url),
        listening(port) as heard,
    ):
        for number, photo in enumerate(OTHERS):
            name = f"drive-{number}"
            async with looking_at(tmp_path, photo, port, name, every_s=1):
                said = lambda name=name: len(heard.of(name, "caption")) >= 3
                await heard.until(said, f"three captions of {photo}")
        assert heard.alerts == []
        # This one speaks when the picture changes: the agent has to ask for the second caption.
        async with looking_at(tmp_path, RIGHT, port, "drive-9"):
            await heard.until(lambda: heard.alerts, "the alert")
            whys = [caption.why for caption in heard.of("drive-9", "caption")]
        async with looking_at(tmp_path, "skimage:chelsea", port, "sofa", every_s=1):
            await heard.until(lambda: heard.of("sofa", "caption"), "a caption of the cat")
            code, lines, _ = await moteye("watch", "--once", "--broker", f"mqtt://127.0.0.1:{port}")
        (alert,) = heard.alerts
    assert (alert["camera"], alert["policy"]) == ("drive-9", "motorcycle")
    assert "motorcycle" in alert["caption"]
    assert 0 <= alert["caption_age_s"] < 60
    assert whys[:2] == ["change", "asked"]
    assert code == 0
    assert any("a cat" in line for line in lines), "`moteye watch` shows what it sees in words"
    _replayed(policies, url)
    code, lines, _ = await moteye("why", alert["id"][:8], "--store", url)
    assert code == 0
    assert any(f"in words: {alert['caption']}" in line for line in lines)
    code, lines, _ = await moteye("backtest", "--policy", str(policies), "--store", url, "--json")
    found = json.loads(lines[0])
    assert (code, len(found["fired"]), found["gained"], found["lost"]) == (0, 1, [], [])


def _replayed(policies, url: str) -> None:
    """The recording gives the decisions of the live run, byte for byte."""
    store, space = Store(url, read_only=True), load_space()
    compiled = space.compile(load(policies), number=1, dim=64)
    replay = Replay(compiled, space.encoder_hash)
    again = [decision.json() for decision in replay.feed(store.events())]
    assert again == [decision.json() for decision in store.decisions()]
    assert replay.heard >= 3 * len(OTHERS)
    fired = [decision for decision in store.decisions() if decision.fired]
    assert prob_q8(np.array([fired[0].margin_q8], np.int16))[0] >= 128


async def test_who_makes_no_captions_is_told_by_log_and_check(tmp_path, capsys):
    port, url = free_port(), f"sqlite:///{tmp_path / 'moteye.db'}"
    policies = write_policy(tmp_path / "policies", "motorcycle", POLICY)
    (tmp_path / "scene.yaml").write_text('shots: [{photo: "skimage:chelsea", seconds: 60}]\n')
    async with (
        running_agent(policies, port=port, embedded=True, store=url),
        listening(port) as heard,
        device(port, f"scene:{tmp_path / 'scene.yaml'}", tmp_path, device_id="drive-1"),
    ):
        await heard.until(lambda: heard.of("drive-1", "embedding"), "a frame")
        told = ""

        def is_told() -> bool:
            nonlocal told
            captured = capsys.readouterr()
            told += captured.out + captured.err
            return "drive-1 makes no captions" in told

        await until(is_told, "a line in the log")
        settings = load_settings(policies=policies, broker=f"mqtt://127.0.0.1:{port}")
        found = [finding.text async for finding in examine(settings)]
    assert "captions: {enabled: true}" in told
    assert any("policy motorcycle hears nothing: drive-1 makes no captions" in one for one in found)
    code, lines, errors = await moteye(
        "policies", "check", str(policies), "--strict", "--store", url
    )
    assert (code, "no caption of drive-1 on record" in " ".join(lines)) == (1, True), errors
