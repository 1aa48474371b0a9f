"""Device and agent over TLS: the good way from end to end, and each way in which it must fail."""

import asyncio
import contextlib

import pytest
from moteye.errors import ConfigError
from moteye.link.connection import BrokerUrl, Connection
from moteye.link.tls import TlsFiles
from structlog.testing import capture_logs
from support.certificates import Authority
from support.live import running_agent, scene, until, write_policy
from support.tls_broker import tls_broker

REFUSED = {  # what is wrong: what the agent says, what the device says
    "authority": ("not signed by an authority we know", "is not signed by broker.ca"),
    "expired": ("certificate has expired", "certificate has expired"),
    "not yet valid": ("is not valid yet", "is not valid yet"),
    "name": ("is not for localhost", "is for another name; see broker.server_name"),
    "no certificate": ("wants a certificate of ours", "does it want a certificate"),
    "stranger's certificate": ("does not accept our certificate", "does it want a certificate"),
    "plain": ("does that port speak TLS", "does broker.port speak TLS"),
}


def url(port: int, authority: Authority, own=None) -> BrokerUrl:
    files = TlsFiles(authority.ca, own and own.cert, own and own.key)
    return BrokerUrl.parse(f"mqtts://localhost:{port}", files)


def on_device(authority: Authority, own=None) -> dict[str, object]:
    found = {"tls": True, "ca": str(authority.ca), "server_name": "localhost"}
    return found | ({"cert": str(own.cert), "key": str(own.key)} if own else {})


async def test_agent_and_device_meet_over_tls_with_certificates(tmp_path, make_device):
    authority = Authority(tmp_path)
    server = authority.issue("server", host="localhost")
    agents, devices = authority.issue("agent"), authority.issue("cam1")
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    async with tls_broker(tmp_path, server, client_ca=authority.ca) as broker:
        settings = {"tls_ca": authority.ca, "tls_cert": agents.cert, "tls_key": agents.key}
        settings["broker"] = f"mqtts://localhost:{broker.port}"
        with capture_logs() as logs:
            async with (
                running_agent(policies, port=broker.port, embedded=False, **settings) as agent,
                make_device(
                    port=broker.port,
                    broker=on_device(authority, devices),
                    camera_spec=scene(tmp_path, ("skimage:chelsea", 600)),
                ) as device,
            ):
                await device.wait_for_line("device: online")
                alerts = lambda: [entry for entry in logs if entry["event"] == "alert"]
                await until(alerts, "the alert of a cat")
                assert agent.devices.all["cam1"].online
    assert device.lines[-1].endswith("device: stopped")
    shown = "\n".join([*device.lines, *map(str, logs)])
    assert "DBG:" not in shown
    assert "premaster" not in shown


@pytest.fixture
async def refusing(tmp_path, broker):
    """What is wrong -> (port, an agent's URL, a device's settings)."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(what):
            ours, strangers = Authority(tmp_path), Authority(tmp_path, "strangers")
            believed = strangers if what == "authority" else ours
            if what == "plain":
                return broker.port, url(broker.port, ours), on_device(ours)
            days = {"expired": (-9, -1), "not yet valid": (1, 9)}.get(what, (-1, 9))
            host = "elsewhere.example" if what == "name" else "localhost"
            server = ours.issue("server", host=host, days=days)
            own = strangers.issue("own") if what == "stranger's certificate" else None
            wants = ours.ca if "certificate" in what else None
            serving = tls_broker(tmp_path, server, client_ca=wants)
            port = (await stack.enter_async_context(serving)).port
            return port, url(port, believed, own), on_device(believed, own)

        yield make


@pytest.mark.parametrize("what", REFUSED)
async def test_each_failure_of_tls_is_named_and_nothing_is_said_in_plain_text(
    what, refusing, make_device, monkeypatch
):
    monkeypatch.setattr("moteye.link.connection.PUBLISH_TIMEOUT_S", 2)  # a broker may just be mute
    port, link, settings = await refusing(what)
    by_agent, by_device = REFUSED[what]
    connection = Connection(link, client_id="agent", subscriptions=[("#", 1)])
    with capture_logs() as logs:
        task = asyncio.create_task(connection.run())
        async with make_device(port=port, broker=settings) as device:
            line = await device.wait_for_line("mqtt: lost")
            await until(lambda: any(e["event"] == "broker lost" for e in logs), "a failure")
            task.cancel()
            assert not any("device: online" in line for line in device.lines)
    reason = next(entry["reason"] for entry in logs if entry["event"] == "broker lost")
    assert by_agent in reason
    assert by_device in line
    assert connection.connects == 0


async def test_wrong_file_stops_the_device_and_is_named(tmp_path, make_device):
    authority = Authority(tmp_path)
    own = authority.issue("cam1")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    garbage.chmod(0o600)
    for changes, said in (
        ({"ca": str(garbage)}, "broker.ca: "),
        ({"ca": str(tmp_path / "none.pem")}, "none.pem cannot be read"),
        ({"ca": None}, "broker.ca: missing"),
        ({"key": None}, "broker.key: missing"),
        ({"cert": str(garbage)}, "garbage.pem is no certificate"),
        ({"key": str(garbage)}, "broker.key: "),
        ({"tls": False}, "expects broker.tls: true"),
    ):
        async with make_device(broker=on_device(authority, own) | changes) as device:
            assert said in await device.wait_for_line("moteye: ")
    own.key.chmod(0o640)
    async with make_device(broker=on_device(authority, own)) as device:
        assert f"chmod 600 {own.key}" in await device.wait_for_line("moteye: ")


def test_wrong_file_stops_the_agent_and_is_named(tmp_path):
    authority = Authority(tmp_path)
    own, other = authority.issue("agent"), authority.issue("other")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for files, said in (
        (TlsFiles(garbage), "tls_ca: .*not a certificate"),
        (TlsFiles(tmp_path / "none.pem"), "tls_ca: .*no such file"),
        (TlsFiles(authority.ca, own.cert), "tls_key is missing"),
        (TlsFiles(authority.ca, None, own.key), "tls_cert is missing"),
        (TlsFiles(authority.ca, garbage, own.key), "not a certificate and a key"),
        (TlsFiles(authority.ca, own.cert, other.key), "is not the key of"),
    ):
        with pytest.raises(ConfigError, match=said):
            BrokerUrl.parse("mqtts://localhost", files).context()
    own.key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        BrokerUrl.parse("mqtts://localhost", TlsFiles(None, own.cert, own.key)).context()
    with pytest.raises(ConfigError, match="expect a broker mqtts"):
        BrokerUrl.parse("mqtt://localhost", TlsFiles(authority.ca))
