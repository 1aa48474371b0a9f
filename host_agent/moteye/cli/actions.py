"""`moteye actions`: try actions, and what became of those that were not delivered."""

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye import policies as policy_files
from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.cli.common import BrokerOption, ConfigOption, PoliciesOption, StoreOption, set_up_logs
from moteye.config import Settings, load_settings
from moteye.core.language import ACTIONS, Action, parse_policy
from moteye.errors import ActionError, ConfigError, MoteyeError
from moteye.link.connection import Connection
from moteye.store import Store

app = typer.Typer(help="Try actions; see and repeat what failed.", no_args_is_help=True)
_GIVEN_UP = ("dead", "unknown")


@app.command("dead")
def dead(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    limit: Annotated[int, typer.Option(help="the latest so many")] = 50,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """List actions that were given up, or of which nobody knows whether they were done."""
    settings = load_settings(config, store=store)
    rows = Store(settings.store_url, read_only=True).outbox(_GIVEN_UP, limit=limit)
    if as_json:
        for row in rows:
            print(json.dumps(_shown(row), ensure_ascii=False))
        return
    if not rows:
        print("none: every action was delivered or is still being tried")
        return
    table = Table()
    for heading in ("id", "time", "policy", "camera", "action", "state", "tries", "reason"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        shown = _shown(row)
        table.add_row(*(escape(str(value)) for value in shown.values()))
    Console().print(table)
    print("another attempt: moteye actions retry ID (--unknown for those that may have been done)")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """What may be seen of a row; an action's headers and texts stay inside."""
    moment = datetime.fromtimestamp(row["fired_ms"] / 1000, UTC).astimezone()
    return {
        "id": row["decision"],
        "time": moment.isoformat(timespec="seconds"),
        "policy": row["policy"],
        "camera": row["device"],
        "action": json.loads(row["action"])["kind"],
        "state": row["state"],
        "tries": row["attempts"],
        "reason": row["error"],
    }


@app.command("retry")
def retry(
    decision: Annotated[str, typer.Argument(help="the id, or its first letters")],
    unknown: Annotated[
        bool, typer.Option("--unknown", help="those, too, that may have been done already")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Ask for another attempt at what was given up; a running agent begins within seconds."""
    settings = load_settings(config, store=store)
    states = _GIVEN_UP if unknown else ("dead",)
    if len(decision) < 4:
        raise ConfigError(f"{decision!r}: at least 4 letters of the id, see `moteye actions dead`")
    count = Store(settings.store_url).ask_again(decision, states)
    if not count:
        raise ConfigError(f"nothing given up whose id begins with {decision!r}")
    print(f"asked for again: {count}")


@app.command("test")
def try_out(
    what: Annotated[
        str, typer.Argument(help="a policy's name, an action's kind, or an action: 'notify: phone'")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
    camera: Annotated[str, typer.Option(help="the camera that the test alert names")] = "test",
    config: ConfigOption = None,
    broker: BrokerOption = None,
    policies: PoliciesOption = None,
) -> None:
    """Do the actions of a policy with a test alert, each once; exit 1 when one fails.

    Pictures are only described: they need a frame that decided.
    """
    set_up_logs()
    settings = load_settings(config, broker=broker, policies=policies)
    name, phrase, actions = _chosen(settings, what)
    alert = Alert(
        id=f"test{time.time_ns():x}"[:16],
        policy=name,
        camera=camera,
        phrase=phrase,
        probability=0.99,
        margin=4.6,
        threshold=2.0,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        frame=0,
    )
    failed = asyncio.run(_try(settings, alert, actions, dry_run=dry_run))
    if failed:
        raise typer.Exit(1)


def _chosen(settings: Settings, what: str) -> tuple[str, str, list[Action]]:
    """(policy, phrase, actions) for the argument of `test`. Raises ConfigError, PolicyErrors."""
    if ":" in what:
        (action,) = parse_policy(f"see: test\nthen:\n  - {what}\n", "argument", "test").then
        return "test", "test", [action]
    found = policy_files.load(settings.policies)
    for policy in found:
        if policy.name == what:
            return what, policy.phrases[0], list(policy.then)
    if what in ACTIONS:
        actions = [action for policy in found for action in policy.then if action.kind == what]
        if actions:
            return "test", "test", actions
    known = ", ".join(policy.name for policy in found) or "none"
    raise ConfigError(
        f"{what!r} is neither a policy ({known}) nor an action's kind that one of them has"
    )


async def _try(settings: Settings, alert: Alert, actions: list[Action], *, dry_run: bool) -> int:
    connection = Connection(
        settings.broker_url, client_id=f"moteye-test-{time.time_ns() % 1_000_000}", subscriptions=[]
    )

    async def no_picture(device: str, frame: int) -> npt.NDArray[np.uint8]:
        raise AssertionError("pictures are only described")

    runner = ActionRunner(connection.publish, no_picture, settings.actions)
    speaks = not dry_run and any(action.kind == "mqtt" for action in actions)
    task = asyncio.create_task(connection.run()) if speaks else None
    failed = 0
    try:
        for action in actions:
            try:
                said = runner.describe(alert, action)
                if not dry_run and action.kind not in ("save", "capture"):
                    await runner.perform(alert, action)
                    print(f"done   {said}")
                else:
                    print(f"would  {said}")
            except MoteyeError as error:
                failed += 1
                unknown = isinstance(error, ActionError) and error.unknown
                print(f"{'unknown' if unknown else 'failed'} {action.kind}: {error}")
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return failed
