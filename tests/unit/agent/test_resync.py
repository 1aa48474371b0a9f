"""Lost messages, unknown births, and whose clock a command is dated by."""

import asyncio

import pytest
from moteye.clock import EventClock
from moteye.errors import DeviceRefused
from moteye.link import devices as devices_module
from moteye.link.devices import RESYNC_MS, Devices
from moteye_protocol import models
from structlog.testing import capture_logs

TOPIC = {name: models.topic("cam", name) for name in ("status", "birth", "set_state", "reply")}

STOOD_STILL = {"reset": "watchdog", "stage": "encode"}


class Line:
    """Devices with `resync`, and what they published; `answer` makes the reply."""

    def __init__(self, *, clock=None, answer=None):
        self.asked = []
        self.answer = answer or (lambda command: None)
        self.devices = Devices(
            self.publish, clock=clock or EventClock(), resync=lambda device: True
        )

    async def publish(self, topic, payload):
        command = models.parse("command", payload)
        self.asked.append(command)
        reply = self.answer(command)
        if reply is not None:
            self.hear(reply)

    def hear(self, message, *, retain=False):
        topic = models.topic("cam", message.topic)
        return self.devices.receive(topic, models.encode(message), retain)

    @property
    def operations(self):
        return [command.op for command in self.asked]


def state(number, session=1, up=0, t=None):
    return models.SetState(
        s=session, n=number, t=t, up=up, state="idle", set=None, version="", dim=64
    )


def birth(number, session=1):
    return models.Birth(
        s=session,
        n=number,
        t=None,
        up=0,
        fw="",
        encoder=bytes(8),
        dim=64,
        width=1,
        height=1,
        set=None,
        set_version="",
        frames=False,
        max_set=1,
        ops=[],
        interval=1,
    )


async def turn():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(devices_module, "REPLY_TIMEOUT_S", 0.01)


async def test_a_gap_is_counted_and_the_state_asked_for():
    line = Line()
    line.hear(birth(0))
    for number in (1, 2, 3):
        line.hear(state(number))
    await turn()
    assert line.operations == []
    line.hear(state(7))
    await turn()
    assert line.operations == ["report"]
    assert line.devices.counters["gap"] == 1


async def test_gaps_in_a_row_are_asked_about_once_in_ten_seconds():
    now = [100.0]
    line = Line(clock=EventClock(lambda: now[0], lambda: now[0]))
    line.hear(birth(0))
    for number in range(3, 300, 3):
        line.hear(state(number))
        await turn()
    assert line.operations == ["report"]
    assert line.devices.counters["gap"] == 99
    now[0] += RESYNC_MS / 1000
    line.hear(state(300))
    await turn()
    assert line.operations == ["report"] * 2
    line.hear(birth(301))
    now[0] += RESYNC_MS / 1000
    line.hear(state(302))
    await turn()
    assert line.operations == ["report"] * 2


async def test_a_device_without_birth_is_asked():
    line = Line()
    line.hear(models.Status(s=1, state="online"), retain=True)
    line.hear(state(4), retain=True)
    await turn()
    assert line.operations == []
    line.hear(state(9))
    await turn()
    assert line.operations == ["report"]
    assert line.devices.counters["gap"] == 0


async def test_a_birth_of_an_older_session_is_no_birth():
    line = Line()
    line.hear(birth(0, session=1), retain=True)
    line.hear(state(3, session=2))
    await turn()
    assert line.operations == ["report"]
    assert not line.devices.all["cam"].online
    line.hear(birth(4, session=2))
    assert line.devices.all["cam"].online


def reply(command, code="ok", **more):
    fields = {"s": 1, "n": 50, "t": None, "up": 0, **more}
    return models.Reply(**fields, tid=command.tid, ok=code == "ok", code=code)


@pytest.mark.parametrize("skew_ms", [-600_000, 600_000, 3_600_000])
async def test_t20_a_command_is_dated_by_the_device_clock(skew_ms):
    now = [1_790_000_000.0]
    line = Line(clock=EventClock(lambda: now[0], lambda: now[0]), answer=reply)
    line.hear(birth(0))
    line.hear(state(1, up=4000, t=int(now[0] * 1000) + skew_ms))
    now[0] += 7
    await line.devices.request(line.devices.all["cam"], "ping")
    assert line.asked[-1].issued == int(now[0] * 1000) + skew_ms


async def test_t20_a_command_to_a_device_without_time_is_dated_by_ours():
    line = Line(clock=EventClock(lambda: 1.0, lambda: 77.0), answer=reply)
    line.hear(birth(0))
    await line.devices.request(line.devices.all["cam"], "ping")
    assert line.asked[-1].issued == 77_000


async def test_t19_a_device_whose_clock_was_set_is_asked_again():
    now = 1_790_000_000_000
    line = Line(clock=EventClock(lambda: now / 1000, lambda: now / 1000))

    def answer(command):
        late = command.issued < now + 3_600_000
        number = 50 + len(line.asked)
        return reply(command, "expired" if late else "ok", n=number, t=now + 3_600_000, up=1000)

    line.answer = answer
    line.hear(birth(0))
    line.hear(state(1, up=1000, t=now))
    assert (await line.devices.request(line.devices.all["cam"], "ping")).ok
    line.answer = lambda command: reply(command, "expired", n=60 + len(line.asked))
    with pytest.raises(DeviceRefused, match="expired"):
        await line.devices.request(line.devices.all["cam"], "ping")


@pytest.mark.parametrize("run", [1, 3, 20])
async def test_t04_two_devices_of_one_id_are_named_once(run):
    line = Line()
    with capture_logs() as logs:
        for turn_ in range(30):
            session = 7 if turn_ % 2 else 500
            for number in range(turn_ * run, (turn_ + 1) * run):
                line.hear(state(number, session=session))
    alarms = [each for each in logs if each["log_level"] == "error"]
    assert [each["device"] for each in alarms] == ["cam"]
    assert alarms[0]["sessions"] == [7, 500]
    assert len([each for each in logs if "went back" in each["event"]]) <= 2


async def test_t04_a_device_that_restarts_often_is_no_twin():
    line = Line()
    with capture_logs() as logs:
        for session in range(1, 50):
            line.hear(birth(0, session=session))
            line.hear(state(1, session=session))
    assert [each for each in logs if each["log_level"] == "error"] == []


async def test_t65_a_reset_by_the_watchdog_is_told_once_a_session():
    line = Line()
    with capture_logs() as logs:
        for number in (0, 1):
            line.hear(birth(number, session=4).model_copy(update=STOOD_STILL))
        line.hear(birth(0, session=5).model_copy(update={"reset": "power"}))
    told = [entry for entry in logs if "reset" in entry["event"]]
    assert [(entry["session"], entry["stage"]) for entry in told] == [(4, "encode")]
