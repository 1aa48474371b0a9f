"""The HTTP API over a real store and a real server; the agent's other parts are small doubles."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import moteye
import pytest
from moteye.api.app import make_app
from moteye.api.server import serve
from moteye.api.tokens import Tokens
from moteye.client import ApiError
from moteye.core.decisions import Decision
from moteye.errors import ConfigError, FeedbackError, StoreError
from moteye.store import MEMORY, Batch, Store

DECISION = Decision("ab12" * 4, "cat", "cam", True, "seen", "a cat", 700, 300, 4, 1, 5000)


class Service:
    """A store with decisions, and what else the API asks for."""

    version = "1.0"

    def __init__(self) -> None:
        self.store = Store(MEMORY)
        self.batches = 0
        self.on = {"cat": True}
        self.missing = ""
        self.broken = False
        self.stands = ""

    def decide(self, *numbers: int, **changes) -> None:
        decisions = [
            replace(DECISION, id=f"{n:016x}", time_ms=1000 * n, frame=n, **changes) for n in numbers
        ]
        self.store.commit(Batch(decisions=decisions))
        self.batches += 1

    async def decisions_after(self, cursor, *, policy, fired, limit):
        if self.broken:
            raise StoreError("disk is gone")
        return self.store.decisions_after(cursor, policy=policy, fired=fired, limit=limit)

    async def given_up(self, limit):
        return [{"decision": "ab12", "state": "dead"}][:limit]

    async def ask_again(self, decision, *, unknown):
        return int(decision.startswith("ab12"))

    async def acknowledge(self, what):
        return [what] if what == "ab12" else []

    async def feedback(self, request):
        if not request["event"].startswith("ab12"):
            raise FeedbackError("no decision on record")
        return {"mark": 1, "text": request["said"]}

    async def switch(self, policy, *, on):
        if policy in self.on:
            self.on[policy] = on
        return policy in self.on

    def ready(self):
        return self.missing

    def stalled(self):
        return self.stands

    def cameras(self):
        return [{"id": "cam"}]

    def policies(self):
        return self.on

    def install(self, camera):
        return camera == "cam"

    def counters(self):
        return {"agent": Counter({"embedding.twin": 3})}

    def gauges(self):
        return {"cameras_online": 1}


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "state" / "tokens.json")


def client(service, tokens, secret="", **options) -> httpx.AsyncClient:
    app = make_app(service, tokens, **options)
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://agent", headers=headers)


@asynccontextmanager
async def served(service, tokens, port=0, **options):
    """A real server on loopback; yields its address."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    task = asyncio.create_task(serve(make_app(service, tokens, **options), "127.0.0.1", port))
    async with asyncio.timeout(20), httpx.AsyncClient() as probe:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await probe.get(f"http://127.0.0.1:{port}/healthz")).is_success:
                    break
            await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


ROUTES = [
    ("GET", "/api/v1/events?follow=false", "read"),
    ("GET", "/api/v1/decisions", "read"),
    ("GET", "/api/v1/cameras", "read"),
    ("GET", "/api/v1/policies", "read"),
    ("GET", "/api/v1/actions/given-up", "read"),
    ("GET", "/metrics", "metrics"),
    ("POST", "/api/v1/acknowledge", "act"),
    ("POST", "/api/v1/feedback", "act"),
    ("PUT", "/api/v1/policies/cat", "act"),
    ("POST", "/api/v1/cameras/cam/install", "act"),
    ("POST", "/api/v1/actions/ab12/retry", "act"),
]
BODIES = {
    "/api/v1/feedback": {"event": "ab12", "said": "known"},
    "/api/v1/acknowledge": {"what": "ab12"},
    "/api/v1/policies/cat": {"on": False},
}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
async def test_t60_every_route_wants_a_token_with_its_scope(service, tokens, method, path, scope):
    body = {"json": BODIES.get(path, {})} if method != "GET" else {}
    others = [name for name in ("read", "act", "metrics") if name != scope]
    right, wrong = tokens.add("right", [scope]), tokens.add("wrong", others)
    found = []
    for secret in ("", "mte_guess", wrong, right):
        async with client(service, tokens, secret) as http:
            response = await http.request(method, path, **body)
        found.append(response.status_code)
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code
    assert found[:3] == [401, 401, 403]
    assert found[3] in (200, 202)


async def test_every_route_is_in_the_table_above(service, tokens):
    paths = {route.split("?")[0] for _, route, _ in ROUTES}
    named = {p.replace("/cat", "/{name}").replace("/cam/", "/{camera}/") for p in paths}
    named = {p.replace("/ab12/", "/{decision}/") for p in named}
    described = make_app(service, tokens).openapi()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == named | {"/healthz", "/readyz"}


def test_only_hashes_of_tokens_are_kept_in_a_file_for_its_owner(tokens, tmp_path):
    secret = tokens.add("phone", ["read"])
    file = tmp_path / "state" / "tokens.json"
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert Tokens(file).find(secret).name == "phone"
    for name, scopes in (("phone", ["read"]), ("x", ["rule"]), ("y", [])):
        with pytest.raises(ConfigError):
            tokens.add(name, scopes)
    tokens.remove("phone")
    assert tokens.find(secret) is None


async def test_health_and_readiness(service, tokens):
    async with client(service, tokens) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        service.stands = "the store"
        response = await http.get("/healthz")
        assert (response.status_code, response.json()["detail"]) == (503, "the store stands still")
        assert (await http.get("/readyz")).status_code == 200
        service.missing = "the broker is away"
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["detail"]) == (503, "the broker is away")


async def test_a_store_that_fails_is_a_problem_not_a_crash(service, tokens):
    service.broken = True
    async with client(service, tokens, tokens.add("t", ["read"])) as http:
        response = await http.get("/api/v1/decisions")
    assert (response.status_code, response.json()["detail"]) == (503, "disk is gone")


async def test_metrics_are_what_prometheus_reads(service, tokens):
    async with client(service, tokens, tokens.add("t", ["metrics"])) as http:
        text = (await http.get("/metrics")).text
    assert 'moteye_events_total{kind="embedding.twin",part="agent"} 3.0' in text
    assert "moteye_cameras_online 1.0" in text
    assert 'moteye_info{version="1.0"} 1.0' in text


async def test_decisions_come_as_cloudevents_page_by_page(service, tokens):
    service.decide(1, 2, 3)
    service.decide(4, fired=False, reason="cooldown")
    async with client(service, tokens, tokens.add("t", ["read"])) as http:
        first = (await http.get("/api/v1/decisions?limit=2")).json()
        rest = (await http.get(f"/api/v1/decisions?after={first[-1]['cursor']}")).json()
        every = (await http.get("/api/v1/decisions?suppressed=true")).json()
    assert [event["data"]["frame"] for event in first + rest] == [1, 2, 3]
    assert every[-1]["type"] == "dev.moteye.suppressed"
    assert (first[0]["specversion"], first[0]["subject"]) == ("1.0", "cat")
    assert first[0]["time"] == "1970-01-01T00:00:01.000+00:00"


async def collect(count: int, address: str, secret: str, **options) -> list[dict]:
    found = []
    if count:
        async for event in moteye.events(url=address, token=secret, **options):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_a_subscriber_that_was_away_misses_nothing_two_see_the_same_order(service, tokens):
    secret = tokens.add("t", ["read"])
    async with served(service, tokens) as address:
        service.decide(1, 2)
        first = await collect(2, address, secret)
        for hour in range(3, 63):  # an hour of alerts, one a minute
            service.decide(hour)
        late = asyncio.create_task(collect(61, address, secret, after=first[-1]["cursor"]))
        other = asyncio.create_task(collect(63, address, secret))
        await asyncio.sleep(0.3)
        service.decide(63)
        async with asyncio.timeout(20):
            late_found, other_found = await late, await other
    assert [event["data"]["frame"] for event in first + late_found] == list(range(1, 64))
    assert [event["id"] for event in other_found] == [event["id"] for event in first + late_found]


async def test_the_client_goes_on_where_the_connection_broke(service, tokens):
    secret = tokens.add("t", ["read"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    task = None
    for numbers in ((1, 2), (3,), (4, 5)):
        async with served(service, tokens, port):
            task = task or asyncio.create_task(collect(5, address, secret))
            service.decide(*numbers)
            await asyncio.sleep(0.6)
    async with served(service, tokens, port), asyncio.timeout(60):
        assert [event["data"]["frame"] for event in await task] == [1, 2, 3, 4, 5]


async def test_only_one_policy_where_asked_and_a_refusal_is_an_error(service, tokens):
    service.decide(1)
    service.decide(2, policy="plant")
    async with served(service, tokens) as address:
        secret = tokens.add("t", ["read"])
        (event,) = await collect(9, address, secret, policy="plant", follow=False)
        assert event["subject"] == "plant"
        with pytest.raises(ApiError, match="403"):
            await collect(1, address, tokens.add("m", ["metrics"]))


async def test_a_place_in_use_is_said_in_a_sentence(service, tokens):
    async with served(service, tokens) as address:
        port = int(address.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match="cannot listen on"):
            await serve(make_app(service, tokens), "127.0.0.1", port)


async def test_last_event_id_counts_for_more_than_after(service, tokens):
    service.decide(1, 2, 3)
    async with client(service, tokens, tokens.add("t", ["read"])) as http:
        path = "/api/v1/events?follow=false&after=0"
        response = await http.get(path, headers={"last-event-id": "2"})
    data = [json.loads(line[6:]) for line in response.text.splitlines() if line[:6] == "data: "]
    assert [event["data"]["frame"] for event in data] == [3]
