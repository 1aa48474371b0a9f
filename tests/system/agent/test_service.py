"""The agent as a service: ready when it is, fed only while it works, and an end without a loss."""

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
import threading
from pathlib import Path

import aiomqtt
import pytest
from moteye.actions.outbox import Outbox
from moteye.core.engine import Engine
from moteye.judge import Judge
from moteye.ledger import Ledger
from moteye.store import Store
from moteye.supervision import ServiceManager, Supervisor
from moteye.topics import AGENT_TOPIC
from support.command import MOTEYE
from support.kill9 import kill_again_and_again
from support.live import (
    ScriptedDevice,
    cat_and_coffee,
    free_port,
    listening,
    running_agent,
    until,
    write_policy,
)

WATCHDOG_S = 1.5


class Manager:
    """systemd's side of sd_notify: a datagram socket, and what came there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.setblocking(False)
        self.said: list[str] = []

    def count(self, line: str) -> int:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.said += self._socket.recv(4096).decode().splitlines()
        return self.said.count(line)

    async def until(self, line: str, times: int = 1, deadline_s: float = 60) -> None:
        await until(lambda: self.count(line) >= times, f"{line} {times} times", deadline_s)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager():
    with tempfile.TemporaryDirectory() as folder:  # a socket's path has at most 108 bytes
        found = Manager(f"{folder}/n")
        yield found
        found.close()


async def test_the_service_is_ready_when_the_broker_is_there_and_ends_in_order(
    manager, mosquitto, tmp_path
):
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    await mosquitto.stop()
    notify = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
    broker = f"mqtt://127.0.0.1:{mosquitto.port}"
    process = await asyncio.create_subprocess_exec(
        *(*MOTEYE, "run", "--log-json", "--policies", policies, "--broker", broker),
        env={**os.environ, **notify},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"broker lost" not in await process.stdout.readline():
                pass
        assert manager.count("READY=1") == 0, "policies are compiled, but there is no broker yet"
        await mosquitto.start()
        await manager.until("READY=1")
        async with listening(mosquitto.port) as heard:
            state = lambda: [p for t, p, _ in heard.messages if t == f"{AGENT_TOPIC}/policies"]
            await heard.until(lambda: b'"ok"' in b"".join(state()), "the policies' state")
        await manager.until("WATCHDOG=1", times=4)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, output.decode()
    assert b"Traceback" not in output
    assert manager.count("READY=1") == 1
    assert manager.count("STOPPING=1") == 1
    assert manager.said.index("READY=1") < manager.said.index("WATCHDOG=1")


class Parts:
    """An agent's parts that look alive, over a real store, until a test stops one."""

    def __init__(self, folder: Path) -> None:
        engine = Engine()
        self.ledger = Ledger(str(folder / "x.db"), engine, record_days=1, record_bytes=1_000_000)
        self.outbox = Outbox(None, None)
        self.judge = Judge(engine, self.ledger, self.outbox.add)
        self.said: list[str] = []
        manager = ServiceManager({})
        manager.tell = lambda *lines: self.said.extend(lines)
        self.supervisor = Supervisor(self.judge, self.outbox, self.ledger, manager)


@pytest.mark.parametrize("part", ["the store", "the judge", "the outbox"])
async def test_the_watchdog_is_not_fed_while_a_part_stands_still(part, tmp_path, monkeypatch):
    monkeypatch.setattr("moteye.supervision.STORE_ANSWERS_S", 0.2)
    monkeypatch.setattr("moteye.supervision.LOOK_S", 0.05)
    parts = Parts(tmp_path)
    await parts.ledger.open()
    supervisor, goes_on = parts.supervisor, threading.Event()
    task = asyncio.create_task(supervisor.run())

    async def turning_until(condition):
        def turned():
            parts.outbox.turned_s += 1000 if part != "the outbox" else 0
            return condition()

        await until(turned, "the supervisor", 20)

    await turning_until(lambda: parts.said.count("WATCHDOG=1") > 2)
    match part:
        case "the store":
            parts.ledger._worker.submit(goes_on.wait)
        case "the judge":
            parts.judge._inbox.append(None)  # and nobody judges it
        case "the outbox":
            parts.outbox.turned_s -= 31
    await turning_until(lambda: supervisor.stalled == part)
    fed = parts.said.count("WATCHDOG=1")
    for _ in range(3):
        await supervisor.look()
    assert supervisor.stalled == part
    assert parts.said.count("WATCHDOG=1") == fed
    assert f"STATUS={part} stands still" in parts.said
    goes_on.set()
    parts.judge._inbox.clear()
    parts.outbox.turned_s += 1000
    await turning_until(lambda: parts.said.count("WATCHDOG=1") > fed)
    assert supervisor.stalled == ""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert parts.said[-2] == "STOPPING=1"
    await parts.ledger.close()


def test_a_socket_of_the_abstract_namespace_is_told_too():
    manager = Manager(f"@moteye-{os.getpid()}")
    ServiceManager({"NOTIFY_SOCKET": manager.name}).tell("READY=1", "STATUS=at work")
    assert manager.count("READY=1") == 1
    assert manager.said[-1] == "STATUS=at work"
    manager.close()


def test_without_systemd_nothing_is_said_and_a_manager_that_left_is_no_error(tmp_path):
    ServiceManager({}).tell("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")
    other = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert ServiceManager(other).watchdog_s == 0.0, "the watchdog of another process"
    assert ServiceManager({**other, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 1.0


@pytest.mark.timeout(500)  # it has deadlines of its own
async def test_ended_again_and_again_under_load_nothing_is_lost_doubled_or_unknown(
    mosquitto, tmp_path
):
    done = await kill_again_and_again(
        tmp_path,
        port=mosquitto.port,
        store=str(tmp_path / "moteye.db"),
        kills=4,
        by=signal.SIGTERM,
    )
    print(done)
    assert (done.lost, done.doubled, done.hidden) == (0, 0, 0), done.problems
    assert done.unknown == 0, "what was under way came to its end"
    assert done.again == 0, "and was written down"
    assert done.alerts > 0


async def test_what_the_embedded_broker_acknowledged_is_decided_before_the_end(tmp_path):
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    port, store = free_port(), f"sqlite:///{tmp_path}/moteye.db"
    taken: list[int] = []
    cat, coffee = cat_and_coffee()

    async def look(client, script):
        while True:
            message = script.embedding(coffee if script.frame % 20 < 10 else cat)
            await script.say(message)  # returns when the broker has acknowledged it
            taken.append(message.frame)

    async with running_agent(policies, port=port, embedded=True, store=store) as agent:
        async with aiomqtt.Client("127.0.0.1", port, timeout=5) as client:
            script = ScriptedDevice(client, agent, "cam", session=1)
            await script.say(script.birth(), retain=True)
            looking = asyncio.create_task(look(client, script))
            await until(lambda: len(taken) >= 40, "40 frames", 60)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    recorded = {event.frame for event in Store(store).events() if event.kind == "e"}
    assert set(taken) <= recorded
