"""`moteye why`, `decisions` and `backtest`: what was decided, and what would have been."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import plotext
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from moteye import policies
from moteye.actions.rows import TELL, kind_of
from moteye.cli.common import ConfigOption, PoliciesOption, StoreOption, since_moment_ms
from moteye.config import Settings, load_settings
from moteye.core.compile import CompiledSet
from moteye.core.decisions import Decision, Gate
from moteye.core.language import Policy
from moteye.core.scoring import probability_of
from moteye.errors import ConfigError
from moteye.history import Comparison, Replay, compare, explain_at
from moteye.spaces import compile_recorded
from moteye.store import Store
from moteye.text.space import Space, load_space

SHOWN_DIFFERENCES = 20
PLOT_ROWS = 14
SinceOption = Annotated[str, typer.Option("--since", help="how far back, for example 12h or 30d")]


def why(
    what: Annotated[str, typer.Argument(help="a policy's name, or the id of an alert or decision")],
    at: Annotated[
        str | None, typer.Option(help="a moment, 2026-11-21T10:15:00 or 10:15 (local time)")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="only this device")] = None,
    config: ConfigOption = None,
    policies: PoliciesOption = None,
    store: StoreOption = None,
) -> None:
    """Say why an alert came, or why none did: each gate with its number."""
    settings = load_settings(config, policies=policies, store=store)
    record = Store(settings.store_url, read_only=True)
    console = Console(highlight=False)
    by_id = record.decisions(prefix=what, limit=5) if len(what) >= 4 and at is None else []
    if by_id:
        for decision in by_id:
            _show_decision(console, record, decision)
        return
    at_ms = _moment_ms(at) if at else int(time.time() * 1000)
    found, compiled, space = _compiled(settings.policies, settings, record)
    if what not in (policy.name for policy in found):
        raise ConfigError(
            f"{what!r} is neither a decision on record nor a policy; "
            f"policies in {settings.policies}: {', '.join(policy.name for policy in found)}"
        )
    explained = explain_at(compiled, space.encoder_hash, record, at_ms, policy=what, camera=camera)
    if not explained:
        hears = any(policy.hears for policy in found if policy.name == what)
        thing = "caption" if hears else "frame"
        console.print(f"no {thing} of a camera that {what} watches on record by {_time(at_ms)}")
    for one in explained:
        ago_s = (at_ms - one.seen.time_ms) / 1000
        console.print(
            f"[bold]{what}[/] on {one.seen.device}, {_time(one.seen.time_ms)} "
            f"(frame {one.seen.frame}, {ago_s:.1f} s before)"
        )
        console.print(f"  best phrase: {_phrase(one.phrase, one.probability, one.gates)}")
        _show_gates(console, one.gates)
        missing = [gate.text for gate in one.gates if not gate.passed]
        console.print(
            f"  missing: {escape('; '.join(missing))}" if missing else "  nothing missing"
        )
    for decision in record.decisions(policy=what, until_ms=at_ms, limit=1):
        console.print("the last decision before that:")
        _show_decision(console, record, decision)


def decisions(
    policy: Annotated[str | None, typer.Option(help="only this policy")] = None,
    since: SinceOption = "24h",
    fired: Annotated[bool, typer.Option("--fired", help="only alerts")] = False,
    limit: Annotated[int, typer.Option(help="the latest so many")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a decision")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """List decisions, fired and suppressed, and what became of their actions."""
    settings = load_settings(config, store=store)
    record = Store(settings.store_url, read_only=True)
    found = record.decisions(policy=policy, since_ms=since_moment_ms(since))
    found = [decision for decision in found if decision.fired or not fired][-limit:]
    if as_json:
        for decision in found:
            print(json.dumps({**asdict(decision), "actions": _actions(record, decision)}))
        return
    table = Table(title=f"decisions of the last {since}", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("id", "time", "policy, camera", "phrase, p", "", "reason; actions"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("id", "time", ""))
    for decision in found:
        table.add_row(
            decision.id[:8],
            _time(decision.time_ms).partition("-")[2],  # a narrow terminal has no room for the year
            f"{decision.policy}, {decision.device}",
            escape(f"{decision.phrase}, {probability_of(decision.margin_q8):.2f}"),
            "[green]fired[/]" if decision.fired else decision.verdict,
            escape("; ".join([decision.reason, *_actions(record, decision)])),
        )
    Console().print(table)


def backtest(
    policy: Annotated[Path, typer.Option("--policy", help="a policy file or a folder of them")],
    since: SinceOption = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="the result as one JSON object")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="the report with its plot as a file, .html or .svg")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="end with 1 when alerts were gained or lost")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="begin without what `new:` knew by then")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Run edited policies over the recording: what would have fired, and what differs."""
    if plot is not None and plot.suffix not in (".html", ".svg"):
        raise ConfigError(f"--plot {plot}: a file ending in .html or .svg is wanted")
    settings = load_settings(config, store=store)
    record = Store(settings.store_url, read_only=True)
    since_ms = since_moment_ms(since)
    found = _loaded(policy)
    others = policies.waited_for(found, policy)
    space = load_space(settings.space)
    compiled = compile_recorded(
        space, [*found, *others], record, dim=settings.dim, since_ms=since_ms
    )
    began = time.perf_counter()
    replay = Replay(compiled, space.encoder_hash)
    replay.begin_at(record, since_ms, remembers=not fresh)
    names = {item.name for item in found}
    every = replay.feed(record.events(since_ms=since_ms))
    decided = [decision for decision in every if decision.policy in names]
    took_s = time.perf_counter() - began
    on_record = record.decisions(since_ms=since_ms)
    result = compare(decided, [d for d in on_record if d.policy in names])
    console = Console(highlight=False, record=plot is not None, quiet=as_json)
    if as_json:
        print(_comparison_json(result, replay, took_s))
    _show_comparison(console, result, found, since)
    _show_whereabouts(console, names, {d.policy for d in on_record}, others)
    if replay.skipped:
        console.print(
            f"skipped {replay.skipped:,} events of encoders that this version does not know"
        )
    rate = replay.seen / took_s if took_s else 0
    heard = f" and {replay.heard:,} captions" if replay.heard else ""
    console.print(f"{replay.seen:,} events{heard} in {took_s:.1f} s ({rate:,.0f} events/s)")
    if plot is not None:
        _save(console, plot, f"backtest of {policy}, the last {since}")
    if strict and result.differs:
        raise typer.Exit(1)


def _show_whereabouts(
    console: Console, names: set[str], on_record: set[str], others: list[Policy]
) -> None:
    """What else the comparison rests on, or lacks."""
    if others:
        beside = ", ".join(policy.name for policy in others)
        console.print(f"for `while: policy`, as written beside the file: {beside}")
    strangers = on_record - names - {policy.name for policy in others}
    for name in sorted(names - on_record) if strangers else ():
        console.print(
            f"{name} has decided nothing on record; a policy is compared with the one of its own "
            f"name: write name: {min(strangers)}" + (" or another" if len(strangers) > 1 else "")
        )


def _save(console: Console, path: Path, title: str) -> None:
    try:
        if path.suffix == ".svg":
            console.save_svg(str(path), title=title)
        else:
            console.save_html(str(path))
    except OSError as error:
        raise ConfigError(f"--plot {path}: {error.strerror}") from error


def _day(time_ms: int) -> str:
    """The local day of a moment."""
    return f"{datetime.fromtimestamp(time_ms / 1000).astimezone():%Y-%m-%d}"


def _show_days(console: Console, result: Comparison) -> None:
    """Alerts a day, as a table and, from two days on, as a plot."""
    days = result.days(_day)
    if not days:
        return
    table = Table(title="by day", title_justify="left")
    for heading in ("day", "would fire", "on record", "suppressed"):
        table.add_column(heading, justify="left" if heading == "day" else "right")
    for day, counts in days.items():
        table.add_row(day, *map(str, counts))
    console.print(table)
    if len(days) < 2:
        return
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(min(console.width, 100), PLOT_ROWS)
    fires, recorded, _ = zip(*days.values(), strict=True)
    plotext.multiple_bar(
        [day[5:] for day in days],
        [list(fires), list(recorded)],
        labels=["would fire", "on record"],
        marker=["█", "░"],
    )
    console.print(Text(plotext.uncolorize(plotext.build())))


def _show_comparison(console: Console, result: Comparison, found: list[Policy], since: str) -> None:
    table = Table(title=f"the last {since}", title_justify="left")
    for heading in ("policy", "would fire", "as on record", "gained", "lost"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for policy in found:
        fires, gained, lost = (
            sum(decision.policy == policy.name for decision in some)
            for some in (result.fired, result.gained, result.lost)
        )
        cells = (fires, fires - gained, gained, lost)
        table.add_row(policy.name, *(str(cell) for cell in cells))
    console.print(table)
    reasons = ", ".join(f"{name} {count}" for name, count in result.suppressed.most_common())
    console.print(f"suppressed: {sum(result.suppressed.values())} ({reasons or 'none'})")
    _show_days(console, result)
    for word, some in (("gained", result.gained), ("lost", result.lost)):
        for decision in some[:SHOWN_DIFFERENCES]:
            console.print(
                f"  {word}  {_time(decision.time_ms)}  {decision.policy} on {decision.device}: "
                f"{escape(decision.phrase)}, probability {probability_of(decision.margin_q8):.2f}"
            )
        if len(some) > SHOWN_DIFFERENCES:
            console.print(f"  … and {len(some) - SHOWN_DIFFERENCES} more {word}")


def _comparison_json(result: Comparison, replay: Replay, took_s: float) -> str:
    return json.dumps(
        {
            "events": replay.seen,
            "captions": replay.heard,
            "skipped": replay.skipped,
            "seconds": round(took_s, 3),
            "same": result.same,
            "days": result.days(_day),
            "suppressed": dict(result.suppressed),
            **{
                word: [[d.policy, d.device, d.time_ms, d.phrase] for d in some]
                for word, some in (
                    ("fired", result.fired),
                    ("gained", result.gained),
                    ("lost", result.lost),
                )
            },
        }
    )


def _show_decision(console: Console, record: Store, decision: Decision) -> None:
    word = "[green]fired[/]" if decision.fired else f"[yellow]{decision.verdict}[/]"
    console.print(
        f"[bold]{decision.policy}[/] on {decision.device}, {_time(decision.time_ms)}, "
        f"frame {decision.frame}: {word}: {escape(decision.reason)}  ({decision.id[:8]})"
    )
    console.print(
        f"  {_phrase(decision.phrase, probability_of(decision.margin_q8), decision.gates)}"
    )
    _show_gates(console, decision.gates)
    for action in _actions(record, decision):
        console.print(f"  action {escape(action)}")


def _phrase(phrase: str, probability: float, gates: Iterable[Gate]) -> str:
    """What decided, and how probable it was; a change has no probability."""
    changed = any(gate.name == "change" for gate in gates)
    return escape(phrase if changed else f"{phrase}, probability {probability:.2f}")


def _show_gates(console: Console, gates: Iterable[Gate]) -> None:
    for gate in gates:
        console.print(f"  {'[green]✓[/]' if gate.passed else '[red]✗[/]'} {escape(gate.text)}")


def _actions(record: Store, decision: Decision) -> list[str]:
    """What became of the actions, one text each."""
    if not decision.fired:
        return []
    words = {"done": "delivered", "wait": "waits", "dead": "given up"}
    return [
        f"{kind_of(row)} {words.get(row['state'], row['state'])}"
        + (f" after {row['attempts']} tries" if row["error"] and row["attempts"] else "")
        + (f": {row['error']}" if row["error"] else "")
        for row in record.outbox_of(decision)
        if kind_of(row) != TELL or row["state"] != "done"
    ]


def _compiled(
    path: Path, settings: Settings, record: Store, since_ms: int = 0
) -> tuple[list[Policy], CompiledSet, Space]:
    found = _loaded(path)
    space = load_space(settings.space)
    compiled = compile_recorded(space, found, record, dim=settings.dim, since_ms=since_ms)
    return found, compiled, space


def _loaded(path: Path) -> list[Policy]:
    found = policies.load(path)
    if not found:
        raise ConfigError(f"no policies in {path}")
    return found


def _moment_ms(text: str) -> int:
    today = datetime.now().astimezone()
    try:
        if len(text) <= 8 and ":" in text:
            text = f"{today:%Y-%m-%d}T{text}"
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        raise ConfigError(
            f"--at {text}: not a moment; for example 2026-11-21T10:15:00 or 10:15"
        ) from None


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
