"""`moteye policies`: look at policies before they run."""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye import policies
from moteye.cli.common import ConfigOption, PoliciesOption, StoreOption, since_moment_ms
from moteye.config import load_settings
from moteye.core.calibration import rate_interval
from moteye.core.compile import CompiledSet
from moteye.core.language import Policy
from moteye.core.lints import Lint, lint, unreachable, without_positions
from moteye.core.past import Recording
from moteye.core.report import kept_promises
from moteye.errors import StoreError
from moteye.history import recording_of
from moteye.resources import DEFAULT_MODEL
from moteye.schedule import WhileSchedule
from moteye.spaces import compile_recorded
from moteye.store import Store
from moteye.text.space import load_space

app = typer.Typer(help="Check policy files, and how their promises are kept.", no_args_is_help=True)


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="a policy file or a folder of them")],
    space: Annotated[str, typer.Option(help="embedding space to calibrate in")] = DEFAULT_MODEL,
    dim: Annotated[int, typer.Option(help="dimension that decisions use")] = 64,
    strict: Annotated[
        bool, typer.Option("--strict", help="look for likely mistakes, too; exit 1 on any")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", help="with --strict: how much of the recording to try")
    ] = "7d",
    store: StoreOption = None,
) -> None:
    """Read policies, calibrate their phrases, and show what each threshold promises.

    With --strict also how often each would have alerted on what was recorded.
    """
    found = policies.load(path)
    console = Console()
    if not found:
        console.print(f"no policies in {path}")
        return
    loaded = load_space(space)
    compiled = loaded.compile(found, number=1, dim=dim, schedule_of=WhileSchedule)
    console.print(_table(found, compiled))
    if strict:
        record = _record(store)
        cameras = record.cameras() if record is not None else None
        recording = None
        if record is not None:
            since_ms = since_moment_ms(since)
            every = compile_recorded(loaded, found, record, dim=dim, since_ms=since_ms)
            recording = recording_of(every, loaded.encoder_hash, record, since_ms)
            console.print(_forecast(recording))
        narrators = set(record.captions_by_camera()) if record is not None else None
        lints = lint(
            compiled, cameras, recording, positions=loaded.gives_positions, narrators=narrators
        )
        _show(console, lints)
        if lints:
            raise typer.Exit(1)
    else:
        placed = loaded.gives_positions
        _show(console, [o for p in found for o in without_positions(p) if not placed])
        _show(console, [one for item in compiled.policies for one in unreachable(item, compiled)])
    size = len(compiled.built.data)
    count = len({phrase for policy in found for phrase in policy.phrases})
    console.print(f"ok: policies {len(found)}, phrases {count}, prototype set {size:,} bytes")


@app.command("report")
def report(
    config: ConfigOption = None,
    policies_at: PoliciesOption = None,
    since: Annotated[str, typer.Option("--since", help="how far back, for example 7d")] = "30d",
    store: StoreOption = None,
) -> None:
    """Set the false alarms that policies promised beside those that were marked, by camera."""
    settings = load_settings(config, policies=policies_at, store=store)
    record = Store(settings.store_url, read_only=True)
    since_ms = since_moment_ms(since)
    frames = record.frames_by_camera(since_ms=since_ms)
    decisions = record.decisions(since_ms=since_ms)
    found = kept_promises(
        policies.load(settings.policies),
        frames,
        decisions,
        record.marks(),
        record.captions_by_camera(since_ms=since_ms),
    )
    title = f"false alarms per 1,000 frames (or captions), the last {since}"
    table = Table(title=title, title_justify="left")
    headings = ("policy", "camera", "promised", "frames", "alerts", "wrong", "right", "unmarked")
    for heading in (*headings, "measured, 95 %", ""):
        table.add_column(heading, justify="left" if heading in ("policy", "camera") else "right")
    for row in found:
        low, high = row.interval
        numbers = (row.frames, row.alerts, row.wrong, row.right, row.alerts - row.wrong - row.right)
        table.add_row(
            *(row.policy, row.camera),
            "-" if row.promised is None else f"{1000 * row.promised:g}",
            *(f"{number:,}" for number in numbers),
            f"{1000 * low:.2f} - {1000 * high:.2f}",
            row.verdict,
        )
    console = Console()
    console.print(table if found else f"nothing recorded in the last {since}")
    console.print("unmarked alerts may be right or wrong: moteye feedback EVENT wrong|right")


def _show(console: Console, lints: list[Lint]) -> None:
    for one in lints:
        console.print(f"[yellow]lint[/] {escape(str(one))}", soft_wrap=True, highlight=False)


def _record(store: str | None) -> Store | None:
    """What is on record; None where nothing is recorded yet."""
    try:
        return Store(store or load_settings().store_url, read_only=True)
    except StoreError:
        if store is not None:
            raise
        return None


def _forecast(recording: Recording) -> Table:
    table = Table(title=f"on the last {recording.days:.1f} days", title_justify="left")
    for heading in ("policy", "frames", "holds on", "alerts", "a day", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for name, past in recording.pasts.items():
        rate, low, high = recording.a_day(name)
        cells = (f"{past.frames:,}", f"{100 * past.share:.1f} %", str(past.fired))
        table.add_row(name, *cells, f"{rate:.1f}", f"{low:.1f} - {high:.1f}")
    return table


def _table(found: list[Policy], compiled: CompiledSet) -> Table:
    title = "false alarms per 1,000 background frames"
    title += ", or captions of them" if compiled.captions is not None else ""
    table = Table(title=title, title_justify="left")
    for heading in ("policy", "phrase", "certainty", "needs p ≥", "expected", "95 % interval"):
        table.add_column(heading, justify="right" if "p" in heading[5:] else "left")
    for policy in found:
        limits = compiled.thresholds[policy.name]
        columns = next(p.columns for p in compiled.policies if p.policy is policy)
        for phrase, column, limit in zip(policy.phrases, columns, limits, strict=True):
            background = compiled.having(policy).built.background_q8(int(column), columns)
            low, high = rate_interval(background, limit.margin_q8)
            probability = 1 / (1 + math.exp(-limit.margin_q8 / 256))
            table.add_row(
                policy.name,
                phrase,
                str(policy.certainty),
                f"{probability:.2f}",
                f"{1000 * limit.rate:.2f}",
                f"{1000 * low:.2f} - {1000 * high:.2f}",
            )
    return table
