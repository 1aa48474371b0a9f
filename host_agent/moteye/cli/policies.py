"""`moteye policies`: look at policies before they run."""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye import policies
from moteye.cli.common import StoreOption
from moteye.config import load_settings
from moteye.core.calibration import rate_interval
from moteye.core.compile import CompiledSet
from moteye.core.language import Policy
from moteye.core.lints import lint
from moteye.errors import StoreError
from moteye.store import Store, default_url
from moteye.text.space import load_space

app = typer.Typer(help="Check policy files.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `check` a subcommand."""


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
