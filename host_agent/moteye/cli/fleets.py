"""`moteye prototypes rollout` and the like: sets onto devices, and back.

A running agent is asked; where none runs, the command does it itself.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from moteye_protocol import models, wire
from moteye_protocol.set_file import PrototypeSetError
from rich.console import Console
from rich.table import Table

from moteye import policies as policy_files
from moteye.cli.common import BrokerOption, ConfigOption, PoliciesOption, StoreOption, set_up_logs
from moteye.config import Settings, load_settings
from moteye.core.rollout import parse_share
from moteye.errors import AgentSilent, ConfigError, FleetError
from moteye.fleet import Fleet
from moteye.fleet_commands import AGENT_ID, AgentLine, obey, plan_from
from moteye.keys import load_keys
from moteye.link.devices import Devices
from moteye.link.running import running
from moteye.schedule import WhileSchedule
from moteye.sets import SetArchive, read_file
from moteye.text.space import Space, load_space

SETTLE_S = 2.0
_OUTCOMES = {"waiting": "yellow", "confirmed": "green", "failed": "red"}
Groups = Annotated[str, typer.Option(help="shares of the fleet, one wave each")]
MaxError = Annotated[str, typer.Option(help="share of a wave that may fail")]
Deadline = Annotated[float, typer.Option(help="seconds a wave may take; silence is failure")]
Watch = Annotated[float, typer.Option(help="seconds a good wave is watched")]
Pause = Annotated[bool, typer.Option("--pause", help="wait after each wave for `resume`")]


def rollout(
    file: Annotated[
        Path | None, typer.Argument(help="a set file [default: what the policies ask for]")
    ] = None,
    groups: Groups = "5%,25%,100%",
    max_error: MaxError = "2%",
    deadline_s: Deadline = 120.0,
    watch_s: Watch = 60.0,
    pause: Pause = False,
    config: ConfigOption = None,
    broker: BrokerOption = None,
    policies: PoliciesOption = None,
    store: StoreOption = None,
) -> None:
    """Bring a set to the devices in waves. A running agent does it; else this command, until done.

    A wave that fails stops it; a wave that reports classes three times as often as before pauses.
    """
    args = _plan_args(groups, max_error, deadline_s, watch_s, pause)
    if file is not None:
        args["set"] = set_file(file)
    settings = load_settings(config, broker=broker, policies=policies, store=store)
    _print_status(_run(settings, "rollout", args))


def rollback(
    to: Annotated[
        str | None, typer.Option("--to", help="version or hash [default: the set before]")
    ] = None,
    groups: Groups = "100%",
    max_error: MaxError = "2%",
    deadline_s: Deadline = 120.0,
    watch_s: Watch = 0.0,
    config: ConfigOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
) -> None:
    """Bring back the classes of an earlier set. They stay until the next `rollout`."""
    args = _plan_args(groups, max_error, deadline_s, watch_s, pause=False)
    if to is not None:
        args["to"] = to
    _print_status(_run(load_settings(config, broker=broker, store=store), "rollback", args))


def resume(
    config: ConfigOption = None, broker: BrokerOption = None, store: StoreOption = None
) -> None:
    """Go on with a rollout that is paused or stopped."""
    _print_status(_run(load_settings(config, broker=broker, store=store), "resume", {}))


def stop(
    config: ConfigOption = None, broker: BrokerOption = None, store: StoreOption = None
) -> None:
    """Stop the rollout under way: no further device gets the set."""
    _print_status(_run(load_settings(config, broker=broker, store=store), "stop", {}))


def status(
    config: ConfigOption = None, broker: BrokerOption = None, store: StoreOption = None
) -> None:
    """Show the set that devices should use, how far a rollout is, and what each device uses."""
    _print_status(_run(load_settings(config, broker=broker, store=store), "status", {}))


def history(
    config: ConfigOption = None, broker: BrokerOption = None, store: StoreOption = None
) -> None:
    """List the sets of this fleet, oldest first."""
    found = _run(load_settings(config, broker=broker, store=store), "history", {})
    table = Table()
    for heading in ("version", "since", "from", "classes", "bytes", "confirmed", "failed"):
        table.add_column(heading)
    for entry in found["sets"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["unix_s"]))
        failed = ", ".join(f"{count} {code}" for code, count in entry["failed"].items()) or "0"
        cells = (entry["classes"], entry["size_bytes"], entry["confirmed"], failed)
        table.add_row(entry["version"], since, entry["origin"], *map(str, cells))
    Console().print(table if found["sets"] else "no sets yet")


def set_file(path: Path) -> bytes:
    """The bytes of a set file; raises ConfigError that names it."""
    try:
        return read_file(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except PrototypeSetError as error:
        raise ConfigError(f"{path}: {error}") from error


def _plan_args(
    groups: str, max_error: str, deadline_s: float, watch_s: float, pause: bool
) -> dict[str, Any]:
    try:
        args: dict[str, Any] = {
            "groups": groups,
            "max_error": parse_share(max_error),
            "deadline_s": deadline_s,
            "watch_s": watch_s,
            "pause": pause,
        }
        plan_from(args)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return args


def _print_status(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    current, moving = found["current"], found["rollout"]
    if current is None:
        console.print("no set yet")
    else:
        pinned = "; kept until the next rollout, whatever policies say" if found["pinned"] else ""
        classes = "1 class" if current["classes"] == 1 else f"{current['classes']:,} classes"
        console.print(
            f"set {current['version']} from {current['origin']}: {classes}, "
            f"{current['size_bytes']:,} bytes{pinned}"
        )
    for other in found.get("others", ()):
        used = other["current"]["version"] if other["current"] is not None else "none yet"
        console.print(f"set {used} for devices with encoder {other['encoder']}")
    if moving is not None:
        console.print(
            f"rollout {moving['state']}, wave {moving['wave']} of {moving['waves']}: "
            f"{moving['confirmed']} of {moving['devices']} devices have it, "
            f"{moving['failed']} failed"
        )
        if moving["reason"]:
            console.print(moving["reason"])
    table = Table()
    for heading in ("device", "presence", "set in use", "state", "wave", "rollout"):
        table.add_column(heading)
    for row in found["devices"]:
        outcome = row["outcome"] or ""
        colour = _OUTCOMES.get(outcome, "white")
        told = f"[{colour}]{outcome}[/] {row['code'] if outcome == 'failed' else ''}"
        if row["left"]:
            told = "left alone"
        mark = " ✓" if row["current"] else ""
        wave = str(row["wave"] or "")
        used = f"{row['version'] or '-'}{mark}"
        table.add_row(row["device"], row["presence"], used, row["state"], wave, told)
    console.print(table if found["devices"] else "no devices on this broker yet")
    for reason in sorted({row["left"] for row in found["devices"] if row["left"]}):
        console.print(f"left alone, with the set that it has: {reason}")


def _run(settings: Settings, op: str, args: dict[str, Any]) -> dict[str, Any]:
    """Ask the agent; where none runs, do it here."""
    set_up_logs(level=logging.WARNING)
    return asyncio.run(_ask_or_act(settings, op, args))


async def _ask_or_act(settings: Settings, op: str, args: dict[str, Any]) -> dict[str, Any]:
    keys = load_keys(settings.keys)
    key_of = keys.signing_key if keys else None
    named = "client_id" in settings.model_fields_set
    line = AgentLine(key_of(AGENT_ID) if key_of else None, settings.client_id if named else None)

    async def publish(topic: str, payload: bytes) -> None:
        await connection.publish(topic, payload)

    devices = Devices(publish, key_of)
    hear: Callable[[str, models.Message], None] = lambda device, message: None  # noqa: E731

    async def receive(topic: str, payload: bytes, retain: bool) -> None:
        line.receive(topic, payload)
        taken = devices.receive(topic, payload, retain)
        if taken is not None:
            hear(taken[0].id, taken[1])

    of_devices = [
        (models.topic("+", name), qos)
        for name, (_, sender, qos, _) in wire.TOPICS.items()
        if sender == "device"
    ]
    subscriptions = [*line.subscriptions, *of_devices]
    async with running(settings.broker_url, "sets", subscriptions, receive) as connection:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await line.agent_online.wait()
        if line.agent_online.is_set():
            return await line.ask(connection, op, args)
        if line.other_online:
            with contextlib.suppress(AgentSilent):
                return await line.ask(connection, op, args, deadline_s=SETTLE_S)
        await asyncio.sleep(SETTLE_S)  # what is retained has come by then
        space = await asyncio.to_thread(load_space, settings.space)
        archive = SetArchive(settings.sets_folder)
        fleet = Fleet(devices, publish, space.encoder_hash, archive, settings.plan)
        look = op in ("status", "history")
        fleet.own(policy_files.own_devices(settings.policies, settings.devices, lenient=look))
        hear = fleet.heard
        return await _act(fleet, line, lambda: _offer_policies(settings, space, fleet), op, args)


def _offer_policies(settings: Settings, space: Space, fleet: Fleet) -> None:
    found = policy_files.load(settings.policies)
    compiled = space.compile(
        found,
        number=fleet.next_number(),
        dim=settings.dim,
        schedule_of=WhileSchedule,
        epoch=int(time.time()) // 86_400 if settings.keys else 0,
        previous=fleet.previous(),
    )
    fleet.want(space.offer(fleet.reuse(compiled.built)))


async def _act(
    fleet: Fleet,
    line: AgentLine,
    offer_policies: Callable[[], None],
    op: str,
    args: dict[str, Any],
) -> dict[str, Any]:
    """Be the writer until the rollout has come to an end, or an agent has come up."""
    if op == "status":
        fleet.look()
        return fleet.status()
    if op == "history":
        return fleet.history()
    if not fleet.archive.take():
        raise FleetError(
            "another process brings sets to these devices; ask again when it has ended"
        )
    if op == "rollout" and "set" not in args:
        await asyncio.to_thread(offer_policies)
    writer = asyncio.create_task(fleet.run())
    try:
        await fleet.started.wait()
        found = obey(fleet, op, args)
        while (moving := fleet.rollout) is not None and moving.state == "running":
            if line.agent_online.is_set():
                Console(stderr=True).print("an agent has come up and goes on with the rollout")
                break
            await asyncio.sleep(0.2)
            found = fleet.status()
        return found
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
