"""When Home Assistant is told, with a virtual clock and a broker that is a list."""

import asyncio
import json
from dataclasses import asdict, replace

import pytest
from moteye.actions.alert import Alert
from moteye.errors import DeviceRefused, LinkError
from moteye.home.bridge import SETTLE_S, Bridge
from moteye.home.payloads import AgentView, CameraView, Topics

TOPICS = Topics("moteye/v1/_agent", "homeassistant")
CAMERA = CameraView("cam", "0.1", True, 7, "0", "1-aa", False, None, "idle", {"cat": False})
CONFIG = "homeassistant/device/moteye_cam/config"


class House:
    def __init__(self) -> None:
        self.found = {"cam": CAMERA}
        self.policies = {"cat": True}
        self.asked: list = []
        self.elsewhere: set[str] = set()

    def cameras(self):
        return list(self.found.values())

    def is_elsewhere(self, camera):
        return camera in self.elsewhere

    def agent(self):
        return AgentView("moteye-agent", "1.0", 1, 0, dict(self.policies))

    def install(self, camera):
        self.asked.append(camera)
        return camera in self.found

    def revert(self):
        self.asked.append("revert")
        return True

    async def feedback(self, alert, said):
        self.asked.append((alert, said))
        return True

    async def picture(self, alert):
        if alert["frame"] is None:
            raise DeviceRefused("cam", "frame.get", "forbidden")
        return b"\x89PNG of " + str(alert["frame"]).encode()

    async def switch(self, policy, *, on):
        self.asked.append((policy, on))
        return policy in self.policies


class Broker:
    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.dies_after = 10**9

    async def publish(self, topic, payload, *, qos=1, retain=False):
        if len(self.sent) >= self.dies_after:
            raise LinkError("gone")
        self.sent.append(topic)
        if retain:
            self.retained[topic] = payload
            if not payload:
                del self.retained[topic]


@pytest.fixture
def clock():
    return [100.0]


def bridge(house, broker, tmp_path, clock, jitter=0.5) -> Bridge:
    path = tmp_path / "topics.json"
    return Bridge(
        house, broker.publish, TOPICS, path, clock=lambda: clock[0], jitter=lambda: jitter
    )


async def showing(house, broker, tmp_path, clock) -> Bridge:
    """A bridge that is connected and has shown the house once."""
    at_work = bridge(house, broker, tmp_path, clock)
    at_work.connected()
    await at_work.tick()
    return at_work


async def test_t49_config_then_states_then_availability(tmp_path, clock):
    broker = Broker()
    at_work = bridge(House(), broker, tmp_path, clock)
    await at_work.tick()
    assert broker.sent == [], "nothing is said before there is a broker"
    at_work.connected()
    await at_work.tick()
    kinds = [topic.rsplit("/", 1)[1] for topic in broker.sent]
    assert kinds == ["config", "config", "state", "state", "update", "availability"]
    await at_work.tick()
    assert len(broker.sent) == 6, "nothing has changed"


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 2.0), (0.5, 6.0), (1.0, 10.0)])
async def test_t49_a_burst_of_births_is_one_republish_after_a_while(
    tmp_path, clock, jitter, wait_s
):
    broker = Broker()
    at_work = bridge(House(), broker, tmp_path, clock, jitter)
    at_work.connected()
    await at_work.tick()
    broker.sent.clear()
    for word in (b"online", b"offline", b"online", b"online"):
        await at_work.receive("homeassistant/status", word, False)
    clock[0] += wait_s - 0.01
    await at_work.tick()
    assert broker.sent == []
    clock[0] += 0.02
    await at_work.tick()
    assert broker.sent.count(CONFIG) == 1
    clock[0] += 60
    await at_work.tick()
    assert broker.sent.count(CONFIG) == 1
    await at_work.receive("homeassistant/status", b"offline", False)
    clock[0] += 60
    await at_work.tick()
    assert broker.sent.count(CONFIG) == 1, "its goodbye is no reason"


async def test_t48_a_component_that_is_gone_is_told_to_be_gone(tmp_path, clock):
    house, broker = House(), Broker()
    at_work = await showing(house, broker, tmp_path, clock)
    house.found["cam"] = replace(CAMERA, present={})
    await at_work.tick()
    message = json.loads(broker.retained[CONFIG])
    assert message["cmps"]["present_cat"] == {"p": "binary_sensor"}
    house.found["cam"] = CAMERA
    await at_work.tick()
    message = json.loads(broker.retained[CONFIG])
    assert message["cmps"]["present_cat"]["unique_id"] == "moteye_cam_present_cat"


@pytest.mark.parametrize("dies_after", range(8))
async def test_t48_whatever_moment_the_agent_dies_at_no_orphan_stays(tmp_path, clock, dies_after):
    house, broker = House(), Broker()
    broker.dies_after = dies_after
    first = bridge(house, broker, tmp_path, clock)
    first.connected()
    try:
        await first.tick()
        await first.alerted(
            {"id": "x", "camera": "cam", "event": "seen", "phrase": "a cat", "time": "t"}
        )
    except LinkError:
        pass
    broker.dies_after = 10**9
    house.found.clear()
    second = bridge(house, broker, tmp_path, clock)
    second.connected()
    await second.tick()
    clock[0] += SETTLE_S
    await second.tick()
    assert [topic for topic in broker.retained if "cam/" in topic] == []


async def test_a_camera_that_somebody_removed_goes_at_once_and_others_only_when_settled(
    tmp_path, clock
):
    house, broker = House(), Broker()
    house.found["old"] = replace(CAMERA, id="old", online=False)
    at_work = await showing(house, broker, tmp_path, clock)
    del house.found["old"]
    at_work.forget("old")
    del house.found["cam"]
    await at_work.tick()
    assert [topic for topic in broker.retained if "old/" in topic] == []
    assert CONFIG in broker.retained, "its birth may still come"
    clock[0] += SETTLE_S
    await at_work.tick()
    assert CONFIG not in broker.retained


async def test_commands_are_obeyed_unless_retained_or_unknown(tmp_path, clock):
    house = House()
    at_work = bridge(house, Broker(), tmp_path, clock)
    topic = "moteye/v1/_agent/home/cam/cmd"
    assert at_work.takes(topic)
    assert not at_work.takes("moteye/v1/cam/cmd")
    for payload in (b'{"op": "install"}', b'{"op": "off", "policy": "cat"}'):
        await at_work.receive(topic, payload, False)
    for payload in (b"", b"[]", b'{"op": "reboot"}', b'{"op": "on"}', b"\xff"):
        await at_work.receive(topic, payload, False)
    assert house.asked == ["cam", ("cat", False)]
    await at_work.receive(topic, b'{"op": "install"}', True)
    assert len(house.asked) == 2, "a retained command is never obeyed (T07)"


async def test_the_buttons_speak_of_the_last_alert_of_their_camera(tmp_path, clock):
    house = House()
    at_work = bridge(house, Broker(), tmp_path, clock)
    topic, press = "moteye/v1/_agent/home/cam/cmd", b'{"op": "feedback", "said": "wrong"}'
    await at_work.receive(topic, press, False)
    assert house.asked == [], "no alert yet"
    alert = {"id": "ab12", "camera": "cam", "event": "seen", "phrase": "a cat", "time": "t"}
    await at_work.alerted(alert)
    await at_work.receive(topic, press, False)
    named = b'{"op": "feedback", "said": "Tom", "id": "cd34"}'
    await at_work.receive(topic, named, False)
    assert house.asked == [("ab12", "wrong"), ("cd34", "Tom")]


async def test_t52_after_a_crash_at_40_percent_the_state_is_the_devices(tmp_path, clock):
    house, broker = House(), Broker()
    house.found["cam"] = replace(CAMERA, swapping=True, progress=40, swap_state="receiving")
    first = bridge(house, broker, tmp_path, clock)
    first.connected()
    await first.tick()
    topic = "moteye/v1/_agent/home/cam/update"
    assert json.loads(broker.retained[topic])["update_percentage"] == 40
    house.found["cam"] = replace(CAMERA, installed="1-aa", swap_state="confirmed")
    second = bridge(house, broker, tmp_path, clock)
    second.connected()
    await second.tick()
    update = json.loads(broker.retained[topic])
    assert (update["in_progress"], update["update_percentage"]) == (False, None)


async def test_t15_a_camera_that_another_agent_shows_by_now_is_not_cleared(tmp_path, clock):
    house, broker = House(), Broker()
    at_work = await showing(house, broker, tmp_path, clock)
    del house.found["cam"]
    house.elsewhere.add("cam")
    clock[0] += SETTLE_S
    await at_work.tick()
    assert CONFIG in broker.retained
    house.elsewhere.clear()
    house.found["cam"] = CAMERA
    said = broker.sent.count(CONFIG)
    await at_work.tick()
    assert broker.sent.count(CONFIG) == said + 1, "it is ours again"


async def test_t15_what_is_said_to_another_agent_is_left_to_it(tmp_path, clock):
    house = House()
    house.elsewhere.add("yard")
    at_work = bridge(house, Broker(), tmp_path, clock)
    for device in ("yard", "_another-agent"):
        for command in (b'{"op": "revert"}', b'{"op": "off", "policy": "cat"}'):
            await at_work.receive(f"moteye/v1/_agent/home/{device}/cmd", command, False)
    assert house.asked == []
    await at_work.receive("moteye/v1/_agent/home/_moteye-agent/cmd", b'{"op": "revert"}', False)
    assert house.asked == ["revert"]


def alert(frame) -> dict:
    """What the bridge is told; only what it looks at."""
    found = Alert("ab12", "cat", "cam", "a cat", 0.9, 2.0, 1.0, "2026-01-01T10:00:00", frame)
    return asdict(found)


PICTURE = "moteye/v1/_agent/home/cam/picture"


async def test_the_picture_of_an_alert_is_shown_where_frames_are_allowed(tmp_path, clock):
    house, broker = House(), Broker()
    house.found["cam"] = replace(CAMERA, frames=True)
    at_work = await showing(house, broker, tmp_path, clock)
    part = json.loads(broker.retained[CONFIG])["cmps"]["last_picture"]
    assert (part["p"], part["image_topic"]) == ("image", PICTURE)
    running = asyncio.create_task(at_work.run())
    for frame in (7, None):  # None: handed out no more, so the one before stays
        await at_work.alerted(alert(frame))
        for _ in range(20):
            await asyncio.sleep(0)
        assert broker.retained[PICTURE] == b"\x89PNG of 7"
    running.cancel()


async def test_without_leave_there_is_no_picture_and_none_is_asked_for(tmp_path, clock):
    house, broker = House(), Broker()
    at_work = await showing(house, broker, tmp_path, clock)
    await at_work.alerted(alert(7))
    assert "last_picture" not in json.loads(broker.retained[CONFIG])["cmps"]
    assert at_work._to_picture == {}


async def test_t48_a_picture_goes_with_the_leave_to_show_it_and_with_its_camera(tmp_path, clock):
    house, broker = House(), Broker()
    house.found["cam"] = replace(CAMERA, frames=True)
    at_work = await showing(house, broker, tmp_path, clock)
    await at_work.show_picture("cam", alert(7))
    house.found["cam"] = CAMERA
    await at_work.tick()
    assert PICTURE not in broker.retained
    assert json.loads(broker.retained[CONFIG])["cmps"]["last_picture"] == {"p": "image"}
    house.found["cam"] = replace(CAMERA, frames=True)
    await at_work.tick()
    await at_work.show_picture("cam", alert(8))
    house.found["cam"] = replace(CAMERA, online=False, frames=True)
    at_work.forget("cam")
    await at_work.tick()
    assert [topic for topic in broker.retained if "cam" in topic] == []
