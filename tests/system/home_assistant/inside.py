"""Home Assistant's own core with its MQTT integration, asked over standard input, one JSON a line.

Runs in the environment that `environment.py` makes, not in that of the tests.
"""

import asyncio
import json
import logging
import sys
import threading
from types import SimpleNamespace

from homeassistant import bootstrap, config, config_entries, loader
from homeassistant.components.image.const import DATA_COMPONENT
from homeassistant.core import HomeAssistant, ServiceCall, State
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.helpers.check_config import async_check_ha_config_file
from homeassistant.setup import async_setup_component

# Core's own loader, where the first entities of several kinds arrive at once; not about messages.
_OWN_RACE = "async_forward_entry_setups for integration mqtt"


class Kept(logging.Handler):
    """Everything from a warning upwards, but for one race of core's own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if _OWN_RACE not in record.getMessage():
            self.lines.append(self.format(record))


def shown(state: State) -> dict:
    return {
        "state": state.state,
        "attributes": json.loads(json.dumps(dict(state.attributes), default=str)),
    }


class Phone:
    """Takes what is sent to `notify.notify`, as the companion app would."""

    def __init__(self) -> None:
        self.notes: list[dict] = []

    async def take(self, call: ServiceCall) -> None:
        self.notes.append(json.loads(json.dumps(dict(call.data), default=str)))


async def check(hass: HomeAssistant) -> list[str]:
    """What the core's own check says against the configuration in its folder."""
    found = await async_check_ha_config_file(hass)
    wrong = [*found.errors, *found.warnings]
    return [f"{one.domain}: {one.message}" for one in wrong]


async def answer(hass: HomeAssistant, kept: Kept, phone: Phone, asked: dict) -> object:
    match asked["ask"]:
        case "check":
            return await check(hass)
        case "notes":
            return phone.notes
        case "fire":
            hass.bus.async_fire(asked["event"], asked["data"])
            return "done"
        case "states":
            entities = entity_registry.async_get(hass).entities
            found = {}
            for entity in entities.values():
                state = hass.states.get(entity.entity_id)
                found[entity.unique_id] = {
                    "entity_id": entity.entity_id,
                    "state": None if state is None else state.state,
                    "attributes": {} if state is None else shown(state)["attributes"],
                }
            return found
        case "devices":
            return [device.name for device in device_registry.async_get(hass).devices.values()]
        case "call":
            domain, service = asked["service"].split(".")
            await hass.services.async_call(domain, service, asked["data"], blocking=True)
            return "done"
        case "image":
            entity = hass.data[DATA_COMPONENT].get_entity(asked["entity"])
            return {"type": entity.content_type, "hex": (await entity.async_image()).hex()}
        case "log":
            return kept.lines
    raise ValueError(asked)


async def main(folder: str, port: int, prefix: str, login: dict[str, str]) -> None:
    kept = Kept()
    logging.getLogger().addHandler(kept)
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    loader.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    phone = Phone()
    hass.services.async_register("notify", "notify", phone.take)
    written = await config.async_hass_config_yaml(hass)
    for name in ("homeassistant", "automation", "event", "sensor", *written):
        domain = name.partition(" ")[0]
        assert await async_setup_component(hass, domain, written), name
    hass.config.components.update({"http", "file_upload"})  # its pages; MQTT works without them
    hass.http = SimpleNamespace(register_view=lambda _: None)  # where pictures would be fetched
    entry = config_entries.ConfigEntry(
        data={"broker": "127.0.0.1", "port": port, "protocol": "3.1.1", **login},
        options={"discovery": True, "discovery_prefix": prefix},
        discovery_keys={},
        domain="mqtt",
        minor_version=2,
        source="user",
        subentries_data=None,
        title="MQTT",
        unique_id=None,
        version=1,
    )
    await hass.config_entries.async_add(entry)
    await hass.async_start()
    print(json.dumps({"ready": entry.state.value}), flush=True)
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        try:
            result = await answer(hass, kept, phone, json.loads(line))
        except Exception as error:  # noqa: BLE001  told to the test
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])))
