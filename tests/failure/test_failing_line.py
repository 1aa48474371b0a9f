"""Each read of the agent's line fails in turn: what was acknowledged was handled, none is lost."""

import asyncio
import contextlib
from pathlib import Path

import aiomqtt
from moteye.errors import LinkError
from moteye.link import connection as connection_module
from moteye.link.connection import BrokerUrl, Connection
from support.failing import Failing, sweep
from support.live import Mosquitto, until
from system.device.device_bench import Proxy

TOLD = [b"message %d" % number for number in range(6)]
SAID = [b"command %d" % number for number in range(3)]


class FailingLine(Proxy):
    """Resets the connection instead of handing on the piece that fails."""

    def __init__(self, port: int, failing: Failing) -> None:
        super().__init__(port)
        self._failing = failing

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if self._failing.due():
                    break
                writer.write(data)
                await writer.drain()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        writer.transport.abort()


async def tell(connection: Connection) -> None:
    """Publish SAID as the agent does: again until the broker has it."""
    for payload in SAID:
        while True:
            with contextlib.suppress(LinkError):
                await connection.publish("said", payload)
                break
            await asyncio.sleep(0.05)


async def run(folder: Path, failing: Failing) -> tuple[list[bytes], list[bytes]]:
    """What the agent handled, and what a subscriber heard of it."""
    handled: list[bytes] = []
    heard: list[bytes] = []
    broker = Mosquitto(folder)
    await broker.start()

    async def handle(topic, payload, retain, ack):
        await asyncio.sleep(0)  # the work that has to be done before the acknowledgement
        handled.append(payload)
        ack()

    async with (
        FailingLine(broker.port, failing) as line,
        aiomqtt.Client("127.0.0.1", broker.port) as other,
    ):
        connection = Connection(
            BrokerUrl("127.0.0.1", line.port, tls=False),
            client_id="agent",
            subscriptions=[("told", 1)],
            on_message_to_ack=handle,
            keep_session=True,
        )
        task = asyncio.create_task(connection.run())
        await other.subscribe("said", 1)
        await connection.connected.wait()
        telling = asyncio.create_task(tell(connection))
        for payload in TOLD:
            await other.publish("told", payload, 1)
        await until(lambda: set(handled) == set(TOLD), f"all messages at {failing.fail_at}")
        await telling
        while set(heard) != set(SAID):
            heard.append((await asyncio.wait_for(anext(other.messages), 10)).payload)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await broker.stop()
    return handled, heard


def test_line_of_the_agent_fails_at_every_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_module, "BACKOFF_S", 0.05)
    monkeypatch.setattr(connection_module, "TWIN_WAIT_S", 0)
    monkeypatch.setattr(connection_module, "PUBLISH_TIMEOUT_S", 1)

    def attempt(failing: Failing) -> None:
        handled, heard = asyncio.run(run(tmp_path, failing))
        assert set(handled) == set(TOLD)
        assert list(dict.fromkeys(handled)) == TOLD, "in order"
        assert set(heard) == set(SAID)

    assert sweep(attempt, share=0.12) >= 3
