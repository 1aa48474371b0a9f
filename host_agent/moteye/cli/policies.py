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
from moteye.core.lints import lint
from moteye.core.report import kept_promises
from moteye.errors import StoreError
from moteye.store import Store, default_url
from moteye.text.space import load_space

app = typer.Typer(help="Check policy files, and how their promises are kept.", no_args_is_help=True)


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="a policy file or a folder of them")],
    space: Annotated[str, typer.Option(help="embedding space to calibrate in")] = "fast",
    dim: Annotated[int, typer.Option(help="dimension that decisions use")] = 64,
    strict: Annotated[
        bool, typer.Option("--strict", help="look for likely mistakes, too; exit 1 on any")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Read policies, calibrate their phrases, and show what each threshold promises."""
    found = policies.load(path)
    console = Console()
    if not found:
        console.print(f"no policies in {path}")
        return
    loaded = load_space(space)
    compiled = loaded.compile(found, number=1, dim=dim)
    console.print(_table(found, compiled))
    if strict:
        lints = lint(compiled, _cameras(store))
        for one in lints:
            console.print(f"[yellow]lint[/] {escape(str(one))}", soft_wrap=True, highlight=False)
        if lints:
            raise typer.Exit(1)
    size = len(compiled.built.data)
    count = len(compiled.built.prototypes.names)
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
    record = Store(settings.store or default_url(), read_only=True)
    since_ms = since_moment_ms(since)
    frames = record.frames_by_camera(since_ms=since_ms)
    decisions = record.decisions(since_ms=since_ms)
    found = kept_promises(policies.load(settings.policies), frames, decisions, record.marks())
    table = Table(title=f"false alarms per 1,000 frames, the last {since}", title_justify="left")
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


def _cameras(store: str | None) -> set[str] | None:
    """Every device on record; None where nothing is recorded yet."""
    try:
        record = Store(store or load_settings().store or default_url(), read_only=True)
    except StoreError:
        if store is not None:
            raise
        return None
    return record.cameras()


def _table(found: list[Policy], compiled: CompiledSet) -> Table:
    table = Table(title="false alarms per 1,000 background frames", title_justify="left")
    for heading in ("policy", "phrase", "certainty", "needs p ≥", "expected", "95 % interval"):
        table.add_column(heading, justify="right" if "p" in heading[5:] else "left")
    for policy in found:
        limits = compiled.thresholds[policy.name]
        columns = next(p.columns for p in compiled.policies if p.policy is policy)
        for phrase, column, limit in zip(policy.phrases, columns, limits, strict=True):
            background = compiled.built.background_q8(int(column), columns)
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
