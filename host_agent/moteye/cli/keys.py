"""`moteye keys`: what lets devices tell their owner from others."""

import json
from pathlib import Path
from typing import Annotated

import typer
from moteye_protocol.models import split_topic, topic

from moteye.errors import ConfigError
from moteye.keys import DEFAULT_FILE, FleetKeys, load_keys

app = typer.Typer(help="Make and change the fleet's keys.", no_args_is_help=True)
FileOption = Annotated[Path, typer.Option("--file", help="the file of keys")]


def _load(file: Path) -> FleetKeys:
    keys = load_keys(file)
    assert keys is not None
    return keys


@app.command("init")
def init(file: FileOption = DEFAULT_FILE) -> None:
    """Make a fleet key. Keep a copy in a safe place: enrolled devices obey nobody else."""
    FleetKeys.new().save(file, new=True)
    print(f"{file} is made; name it as `keys` in moteye.yaml, and enroll each device")


@app.command("enroll")
def enroll(
    device: Annotated[str, typer.Argument(help="device id")], file: FileOption = DEFAULT_FILE
) -> None:
    """Print what belongs into DEVICE's configuration. It is a secret of that device."""
    try:
        split_topic(topic(device, "status"))
    except ValueError:
        raise ConfigError(f"{device!r} is no device id: a-z, 0-9, - and _") from None
    print(json.dumps({"keys": [key.hex() for key in _load(file).device_keys(device)]}))


@app.command("rotate")
def rotate(
    file: FileOption = DEFAULT_FILE,
    finish: Annotated[bool, typer.Option("--finish", help="all devices have both keys")] = False,
) -> None:
    """Change the fleet key: rotate, enroll all devices again, rotate --finish, enroll again."""
    keys = _load(file)
    (keys.finished() if finish else keys.rotated()).save(file)
    if finish:
        print("the old key no longer signs; enroll the devices again, so that they forget it")
    else:
        print("a second key is made; enroll the devices again, then run with --finish")
