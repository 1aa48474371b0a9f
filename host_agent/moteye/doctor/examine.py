"""All checks, in the order in which their answers make sense."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt

from moteye.config import Settings
from moteye.doctor import broker, fleet, rights
from moteye.doctor.finding import Finding, fail, ok


async def examine(
    settings: Settings, *, config: Path | None = None, devices: list[Path] | None = None
) -> AsyncIterator[Finding]:
    """Findings as they are made; `devices` are configurations of devices, to try their rights.

    Raises ConfigError for a broker URL, TLS files or a device's configuration that do not do.
    """
    configs = [rights.DeviceConfig.read(path) for path in devices or []]
    for finding in fleet.files(settings, config):
        yield finding
    url = settings.broker_url
    reason = await broker.refusal(url, "agent")
    if reason is not None:
        yield fail(f"{url!r} does not let us in: {reason}", "check its address and --broker")
        return
    yield ok(f"{url!r} lets us in")
    if settings.broker is None:
        yield broker.embedded(settings.listen_address[0])
    else:
        yield broker.transport(url)
        async for finding in broker.strangers(url):
            yield finding
    keys = fleet.keys_of(settings)
    try:
        async with url.client(broker.client_id("check")) as client:
            yield await broker.version(client)
            async for finding in broker.promises(url, client):
                yield finding
        async with url.client(broker.client_id("fleet")) as client:
            found = fleet.Fleet(client, keys, settings)
            async for finding in found.listen():
                yield finding
        for device in configs:
            async with url.client(
                broker.client_id("watch"), max_concurrent_outgoing_calls=8
            ) as client:
                known = found.devices.all.get(device.id)
                online = known is not None and known.online
                async for finding in rights.device(device, client, keys, online=online):
                    yield finding
    except aiomqtt.MqttError as error:
        yield fail(f"the connection broke: {error}", "run it again; look into the broker's log")
