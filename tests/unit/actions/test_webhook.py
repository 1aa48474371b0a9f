"""Webhooks: signatures, addresses that are not reached, receivers that misbehave."""

import asyncio
import base64
import json
import time

import pytest
from moteye.actions.addresses import AddressRules
from moteye.actions.alert import Alert
from moteye.actions.settings import ActionSettings, WebhookSettings
from moteye.actions.signing import signed_headers, verify
from moteye.actions.webhook import Webhook
from moteye.core.language import parse_policy
from moteye.errors import ActionError, PolicyErrors
from pydantic import ValidationError
from support.web import web_server

ALERT = Alert("0123456789abcdef", "p", "cam", "a plant", 0.9, 2.2, 1.0, "2026-01-01T10:00:00", 7)
SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3)]


def action(url: str, rest: str = ""):
    text = f"see: x\nthen:\n  - webhook: {{url: '{url}'{rest}}}\n"
    return parse_policy(text, "p", "p").then[0]


def here(port: int, **settings) -> Webhook:
    return Webhook(WebhookSettings(allow=[f"127.0.0.1:{port}"], **settings))


async def failure(coroutine) -> ActionError:
    with pytest.raises(ActionError) as caught:
        await coroutine
    return caught.value


def test_t58_signatures_are_those_of_the_published_example():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret]
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_t58_anything_altered_or_late_fails():
    good = signed_headers("id1", 1000, b"body", SECRETS[:1])
    assert verify(good, b"body", SECRETS[:1], now_s=1200) == "id1"
    for change in (
        {"webhook-timestamp": "1001"},
        {"webhook-id": "id2"},
        {"webhook-signature": "v1," + "A" * 44},
        {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-timestamp": "1000.0"},
    ):
        with pytest.raises(ValueError):
            verify({**good, **change}, b"body", SECRETS[:1], now_s=1000)
    for body, secrets, now_s in ((b"b0dy", SECRETS[:1], 1000), (b"body", SECRETS[1:], 1000)):
        with pytest.raises(ValueError, match="does not fit"):
            verify(good, body, secrets, now_s=now_s)
    with pytest.raises(ValueError, match="too far"):
        verify(good, b"body", SECRETS[:1], now_s=1301)
    with pytest.raises(ValueError, match="no header"):
        verify({}, b"body", SECRETS[:1], now_s=1000)


def test_t58_two_secrets_during_a_rotation():
    both = signed_headers("id1", 1000, b"body", SECRETS[:2])
    for known in (SECRETS[:1], SECRETS[1:2], SECRETS[1:]):
        assert verify(both, b"body", known, now_s=1000) == "id1"
    with pytest.raises(ValueError):
        verify(both, b"body", SECRETS[2:], now_s=1000)


def test_t58_the_comparison_is_one_that_takes_constant_time(monkeypatch):
    compared = []
    real = __import__("hmac").compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(1) or real(a, b))
    both = signed_headers("id1", 1000, b"body", SECRETS[:2])
    verify(both, b"body", SECRETS[:3], now_s=1000)
    assert len(compared) == 6, "no early end at the first that fits"


async def test_a_webhook_is_signed_and_carries_its_key():
    async with web_server(204) as (port, requests):
        webhook = here(port, secrets={"default": SECRETS[:2]})
        await webhook.post(ALERT, action(f"http://127.0.0.1:{port}/hook"))
    ((line, headers, body),) = requests
    assert line.startswith("POST /hook ")
    assert headers["idempotency-key"] == headers["webhook-id"] == ALERT.id
    assert json.loads(body)["id"] == ALERT.id
    assert headers["host"] == f"127.0.0.1:{port}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["webhook-signature"].count("v1,") == 2


async def test_the_body_may_be_a_template_or_a_cloudevent():
    webhook = Webhook(WebhookSettings())
    headers, body = webhook.request(ALERT, action("https://x/", ", body: 'saw {{ phrase }}'"))
    assert body == b"saw a plant"
    headers, body = webhook.request(ALERT, action("https://x/", ", format: cloudevent"))
    event = json.loads(body)
    assert headers["content-type"] == "application/cloudevents+json"
    assert (event["specversion"], event["id"], event["subject"]) == ("1.0", ALERT.id, "p")
    assert event["data"]["phrase"] == "a plant"


async def test_a_secret_that_is_not_configured_is_named():
    error = await failure(
        Webhook(WebhookSettings()).post(ALERT, action("https://x/", ", secret: a"))
    )
    assert error.permanent
    assert "'a'" in str(error)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (404, True), (410, True), (302, True), (308, True), (500, False), (429, False)],
)
async def test_what_an_answer_means(status, permanent):
    async with web_server(status, headers="location: http://169.254.169.254/\r\n") as (
        port,
        requests,
    ):
        error = await failure(here(port).post(ALERT, action(f"http://127.0.0.1:{port}/")))
    assert error.permanent is permanent
    assert len(requests) == 1, "one attempt, and no redirect is followed (T57)"


async def test_a_receiver_that_asks_for_time_gets_it():
    async with web_server(503, headers="retry-after: 120\r\n") as (port, _):
        error = await failure(here(port).post(ALERT, action(f"http://127.0.0.1:{port}/")))
    assert error.retry_after_s == 120


@pytest.mark.parametrize("talks", [False, True])
async def test_a_receiver_that_hangs_or_drips_is_left_after_the_timeout(talks):
    async def never(reader, writer):
        while True:
            await asyncio.sleep(0.05)
            if talks:
                writer.write(b"H")
                await writer.drain()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    error = await failure(
        here(port).post(ALERT, action(f"http://127.0.0.1:{port}/", ", timeout: 300ms"))
    )
    server.close()
    assert time.monotonic() - began < 5
    assert not error.permanent
    assert "no answer in 0.3 s" in str(error)


REFUSED = [
    "127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::",
    "10.1.2.3", "172.16.0.1", "192.168.1.5", "100.64.0.1", "fd00::1", "224.0.0.1", "ff02::1",
    "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "255.255.255.255", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
async def test_t57_addresses_that_no_webhook_reaches(address):
    async def resolve(host, port):
        return [address]

    error = await failure(AddressRules([], resolve).pin("example.org", 80))
    assert error.permanent


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.1.1", "0.0.0.0", "ff02::1"])
async def test_t57_link_local_is_refused_whatever_is_listed(address):
    async def resolve(host, port):
        return [address]

    rules = AddressRules(["0.0.0.0/0", "::/0", "169.0.0.0/8"], resolve)
    assert (await failure(rules.pin("example.org", 80))).permanent


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1", "localhost"])
async def test_t57_other_spellings_of_this_machine(host):
    error = await failure(Webhook(WebhookSettings()).post(ALERT, action(f"http://{host}/")))
    assert "this machine" in str(error) or "not known" in str(error)


async def test_t57_private_networks_and_single_places_by_the_owners_word():
    async def resolve(host, port):
        return [host]

    rules = AddressRules(["192.168.1.0/24", "127.0.0.1:1880", "[::1]:1880"], resolve)
    for host, port in (("192.168.1.7", 80), ("127.0.0.1", 1880), ("::1", 1880), ("1.1.1.1", 443)):
        assert await rules.pin(host, port) == host
    for host, port in (("192.168.2.7", 80), ("127.0.0.1", 1881), ("::1", 80), ("127.0.0.2", 1880)):
        await failure(rules.pin(host, port))


async def test_t57_one_bad_address_among_good_ones_is_enough():
    async def resolve(host, port):
        return ["1.1.1.1", "127.0.0.1"]

    assert (await failure(AddressRules([], resolve).pin("example.org", 80))).permanent


async def test_t57_a_second_answer_of_the_name_server_changes_nothing():
    asked = []

    async def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with web_server(200) as (port, requests):
        rules = AddressRules([f"127.0.0.1:{port}"], rebinding)
        webhook = Webhook(WebhookSettings(), rules=rules)
        asked_for = action(f"http://rebind.example:{port}/")
        await webhook.post(ALERT, asked_for)
        error = await failure(webhook.post(ALERT, asked_for))
    assert len(asked) == 2, "asked once an attempt"
    assert len(requests) == 1, "the connection went where the judged answer said"
    assert requests[0][1]["host"] == f"rebind.example:{port}"
    assert error.permanent


@pytest.mark.parametrize(
    "entry", ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "house", "1.2.3.4.5"]
)
def test_t57_the_configuration_does_not_open_this_machine_as_a_whole(entry):
    with pytest.raises(ValidationError):
        ActionSettings(webhook={"allow": [entry]})


def test_a_password_in_the_address_is_refused_in_the_policy():
    with pytest.raises(PolicyErrors, match="ends up in logs"):
        action("https://me:secret@example.org/")
