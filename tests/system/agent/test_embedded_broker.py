"""The embedded broker among clients that come and go."""

import asyncio

import pytest
from moteye.link.broker import embedded_broker
from moteye.link.cancellable import CancellableClient
from support.live import free_port, until

NEWS = [f"news/{number}" for number in range(8)]
FILTERS = 150  # below what aiomqtt warns of as too many at once


@pytest.fixture
def port():
    return free_port()


async def retain(client, topics):
    for topic in topics:
        await client.publish(topic, b"old", 1, retain=True)


async def heard_back(client):
    """Topics that it hears, up to its own words."""
    heard = []
    await client.subscribe("mine", 1)
    await client.publish("mine", b"now", 1)
    async with asyncio.timeout(10):
        async for message in client.messages:
            if message.topic.value == "mine":
                break
            heard.append(message.topic.value)
    return heard


async def test_who_comes_back_while_another_subscribes_is_served(port):
    """Told what is retained for it, one topic after the other, as the table of filters grows."""
    away = {"identifier": "away", "clean_session": False}
    async with (
        embedded_broker("127.0.0.1", port) as broker,
        CancellableClient("127.0.0.1", port) as other,
    ):
        other.pending_calls_threshold = FILTERS
        await retain(other, NEWS)
        async with CancellableClient("127.0.0.1", port, **away) as client:
            await client.subscribe([(topic, 0) for topic in NEWS])
        session, _ = broker._broker.sessions["away"]
        await until(lambda: session.transitions.state == "disconnected", "its end")
        more = asyncio.gather(*(other.subscribe(f"more/{n}", 1) for n in range(FILTERS)))
        async with CancellableClient("127.0.0.1", port, **away) as client:
            assert sorted(await heard_back(client)) == NEWS
        await more


async def test_nobody_hears_what_is_retained_where_only_others_listen(port):
    async with (
        embedded_broker("127.0.0.1", port),
        CancellableClient("127.0.0.1", port) as other,
        CancellableClient("127.0.0.1", port) as client,
    ):
        await retain(other, ["private"])
        await other.subscribe("private", 1)
        assert await heard_back(client) == []
        async with CancellableClient("127.0.0.1", port) as late:
            assert await heard_back(late) == []
            await late.subscribe("private", 1)
            async with asyncio.timeout(10):
                assert (await anext(late.messages)).topic.value == "private"
