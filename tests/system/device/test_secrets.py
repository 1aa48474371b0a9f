"""T59: no key and no password in any log, answer or error, on good ways and bad ones."""

import asyncio
import json
import re

import pytest
from moteye.keys import FleetKeys
from support.acl_broker import PASSWORDS, acl_broker
from support.command import MOTEYE
from support.live import scene, write_policy
from system.device.device_bench import DEVICE

KEYS = FleetKeys(bytes(range(32)), bytes(range(100, 132)))


async def program(folder, *arguments):
    """All that `moteye …` says."""
    process = await asyncio.create_subprocess_exec(
        *MOTEYE,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.timeout(300)  # four programs start
async def test_t59_secrets_are_in_no_log(tmp_path, make_device):
    KEYS.save(tmp_path / "keys.json", new=True)
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    said = []
    async with acl_broker(tmp_path) as broker:
        config = tmp_path / "moteye.yaml"
        config.touch(mode=0o600)
        config.write_text(
            f"broker: {broker.agent_url}\nkeys: {tmp_path}/keys.json\npolicies: {policies}\n"
        )
        agent = await asyncio.create_subprocess_exec(
            *MOTEYE,
            "run",
            "--log-json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        keys = {"keys": [key.hex() for key in KEYS.device_keys(DEVICE)]}
        async with make_device(
            port=broker.devices_port,
            broker=broker.device_settings(DEVICE),
            camera_spec=camera,
            settings=keys,
        ) as device:
            await device.wait_for_line("in use", 90)
            wrong = broker.agent_url.replace(PASSWORDS["agent"], "another-canary")
            bad = tmp_path / "bad.yaml"
            bad.touch(mode=0o600)
            bad.write_text("broker: not-a-url:agent-secret@x\n")
            said += await asyncio.gather(
                program(tmp_path, "doctor", "--device", str(device._config_path)),
                program(tmp_path, "doctor", "--broker", wrong),
                program(tmp_path, "run", "--config", str(bad)),
            )
        agent.terminate()
        said.append((await agent.communicate())[0].decode())
    assert '"event": "prototype set in use"' in said[-1]
    assert "checks: " in said[0]
    assert "broker's URL" in said[2]
    said.append("\n".join(device.lines))
    text = "\n".join(said)
    for key in (KEYS.current, KEYS.next, *KEYS.device_keys(DEVICE)):
        for shown in (key.hex(), repr(key), str(list(key))):
            assert shown not in text
    for password in (PASSWORDS["agent"], PASSWORDS[DEVICE], "another-canary"):
        assert password not in text
    assert "PRIVATE KEY" not in text
    assert not re.search(r"[0-9a-f]{64}", text.replace(json.dumps(keys), "")), "a key or a hash"
