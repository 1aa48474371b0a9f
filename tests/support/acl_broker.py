"""A mosquitto as docs/acl has it, with users, passwords and certificates of its own."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from system.device.device_bench import Mosquitto

from support.certificates import Authority
from support.live import free_port

TEMPLATES = Path(__file__).parents[2] / "docs" / "acl"
PASSWORDS = {name: f"{name}-secret" for name in ("agent", "homeassistant", "cam1", "cam2")}


@dataclass(frozen=True)
class AclBroker:
    """`port` is the agent's, plain on this machine; `devices_port` the devices', over TLS."""

    port: int
    devices_port: int
    authority: Authority

    @property
    def agent_url(self) -> str:
        return f"mqtt://agent:{PASSWORDS['agent']}@127.0.0.1:{self.port}"

    def device_settings(self, name: str) -> dict[str, object]:
        """The `broker` part of a device's configuration, beside host and port."""
        tls = {"tls": True, "ca": str(self.authority.ca), "server_name": "localhost"}
        return {"user": name, "password": PASSWORDS[name], **tls}


@contextlib.asynccontextmanager
async def acl_broker(folder: Path, acl: str | None = None) -> AsyncIterator[AclBroker]:
    """Run one; `acl` in place of the template's text."""
    authority = Authority(folder)
    server = authority.issue("server", host="localhost")
    passwords = folder / "moteye.passwd"
    passwords.touch(mode=0o600)
    program = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin:/usr/sbin")
    assert program, "mosquitto_passwd is missing: it comes with mosquitto"
    passwords.write_text("".join(f"{name}:{word}\n" for name, word in PASSWORDS.items()))
    hashing = await asyncio.create_subprocess_exec(program, "-U", str(passwords))
    assert await hashing.wait() == 0
    rules = folder / "moteye.acl"
    rules.write_text(acl or (TEMPLATES / "mosquitto.acl").read_text())
    devices_port = free_port()
    text = (TEMPLATES / "mosquitto.conf").read_text()
    for given, ours in (
        ("/etc/mosquitto/moteye.passwd", passwords),
        ("/etc/mosquitto/moteye.acl", rules),
        ("/etc/mosquitto/certs/server.pem", server.cert),
        ("/etc/mosquitto/certs/server.key", server.key),
        ("listener 8883", f"listener {devices_port} 127.0.0.1"),
        ("listener 1883 127.0.0.1", "listener PORT 127.0.0.1"),
        ("persistence true", "persistence false"),
    ):
        assert given in text
        text = text.replace(given, str(ours))
    lines = [line for line in text.splitlines() if line and not re.match(r"\s*#", line)]
    broker = Mosquitto(folder, *lines)
    await broker.start()
    try:
        yield AclBroker(broker.port, devices_port, authority)
    finally:
        await broker.stop()
