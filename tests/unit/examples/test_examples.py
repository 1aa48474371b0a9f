"""The examples that need no house: the receiver takes what is signed; the blueprint is one."""

import asyncio
import contextlib
import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from moteye.actions.alert import Alert
from moteye.actions.settings import WebhookSettings
from moteye.actions.webhook import Webhook
from moteye.core.language import parse_policy
from moteye.errors import ActionError
from moteye.topics import AGENT_TOPIC, FEEDBACK_TOPIC
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[3] / "examples"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "A" * 32
ALERT = Alert("ab12", "cat", "cam", "a cat", 0.9, 2, 1, "2026-01-01T10:00:00.000+00:00", 7)


async def test_the_receiver_takes_signed_alerts_once_and_refuses_others():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, EXAMPLES / "webhook-receiver" / "receiver.py", "--port", "0"),
        env={**os.environ, "MOTEYE_WEBHOOK_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            said = (await process.stdout.readline()).decode()
        url = said.split()[-1]
        port = url.rstrip("/").rsplit(":", 1)[1]
        text = f"see: x\nthen: [{{webhook: {{url: '{url}', timeout: 30s}}}}]\n"
        (action,) = parse_policy(text, "p", "p").then
        place = {"allow": [f"127.0.0.1:{port}"]}
        for _ in range(2):
            await Webhook(WebhookSettings(**place, secrets={"default": SECRET})).post(ALERT, action)
        for secrets in ({}, {"default": OTHER}):
            with pytest.raises(ActionError, match="HTTP 401"):
                await Webhook(WebhookSettings(**place, secrets=secrets)).post(ALERT, action)
        process.terminate()
        lines = (await process.stdout.read()).decode().splitlines()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert lines == ["2026-01-01T10:00:00.000+00:00  cat on cam: a cat"]


def test_the_blueprint_uses_each_of_its_inputs():
    text = (EXAMPLES / "home-assistant" / "blueprint.yaml").read_text()
    blueprint = YAML().load(text)
    assert blueprint["blueprint"]["domain"] == "automation"
    for name in blueprint["blueprint"]["input"]:
        assert f"!input {name}" in text
    assert {"triggers", "conditions", "actions", "mode"} <= set(blueprint)


def test_the_node_red_flow_is_whole():
    """It was run in Node-RED 4.1; here its parts are held against each other and the wire."""
    nodes = {node["id"]: node for node in json.loads((EXAMPLES / "node-red/flow.json").read_text())}
    fields = {"id", "type", "x", "y", "wires", "z"}
    for node in nodes.values():
        if node["type"] in ("tab", "mqtt-broker"):
            continue
        assert fields <= set(node), node["id"]
        assert nodes[node["z"]]["type"] == "tab"
        assert len(node["wires"]) == node.get("outputs", len(node["wires"]))
        for target in (to for wire in node["wires"] for to in wire):
            assert nodes[target]["z"] == node["z"], f"{node['id']} leads to {target}"
        if "broker" in node:
            assert nodes[node["broker"]]["type"] == "mqtt-broker"
    topics = {node["topic"] for node in nodes.values() if node["type"].startswith("mqtt ")}
    assert {f"{AGENT_TOPIC}/alert", FEEDBACK_TOPIC} < topics
    reached = {to for node in nodes.values() for wire in node.get("wires", []) for to in wire}
    begins = {name for name, node in nodes.items() if node["type"] in ("mqtt in", "inject")}
    assert reached | begins == {name for name, node in nodes.items() if "wires" in node}
    used = set(re.findall(r"msg\.payload\.(\w+)", json.dumps(list(nodes.values()))))
    assert used <= set(asdict(ALERT)), "what an alert has"
    switch = nodes["moteye-begun"]
    assert switch["property"] == "payload.event"
