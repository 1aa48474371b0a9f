"""`moteye prototypes`: prototype sets as files; fleets.py has what brings them to devices."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from moteye_protocol import wire
from moteye_protocol.codebook_set import CodebookSet, read_set
from moteye_protocol.set_delta import encode_delta
from moteye_protocol.set_file import version
from rich.console import Console
from rich.table import Table

from moteye import policies as policy_files
from moteye.cli import fleets
from moteye.core.prototypes import build_set
from moteye.core.scoring import AnySet
from moteye.errors import ConfigError
from moteye.resources import DEFAULT_MODEL
from moteye.text.space import load_space

app = typer.Typer(help="Build prototype sets, and bring them to devices.", no_args_is_help=True)


@app.command("build")
def build(
    out: Annotated[Path, typer.Option("--out", "-o", help="file to write")],
    phrases: Annotated[Path | None, typer.Option(help="a text file with one phrase a line")] = None,
    policies: Annotated[Path | None, typer.Option(help="a policy file or a folder")] = None,
    dim: Annotated[int, typer.Option(help="dimension that devices match at")] = 64,
    room: Annotated[
        int, typer.Option(help="bytes that a device takes; codewords are used where need be")
    ] = wire.MAX_SET_BYTES,
    number: Annotated[int, typer.Option(help="number of the set", min=1)] = 1,
    epoch: Annotated[int, typer.Option(help="anti-rollback counter", min=0)] = 0,
    space: Annotated[str, typer.Option(help="embedding space")] = DEFAULT_MODEL,
) -> None:
    """Make a prototype set file of phrases or of the phrases of policies."""
    if (phrases is None) == (policies is None):
        raise ConfigError("name either --phrases or --policies")
    if dim not in wire.SET_DIMS:
        raise ConfigError(f"--dim {dim}: one of {', '.join(map(str, wire.SET_DIMS))}")
    wanted = _phrases(phrases) if phrases is not None else _policy_phrases(policies)
    loaded = load_space(space)
    built = build_set(
        wanted,
        loaded.phrase_vectors(wanted),
        loaded.background,
        loaded.logistic,
        encoder_hash=loaded.encoder_hash,
        number=number,
        dim=dim,
        epoch=epoch,
    )
    form = loaded.offer(built).form(dim, room)
    if form is None:
        raise ConfigError(f"{len(wanted)} phrases do not fit {room:,} bytes in any form")
    try:
        out.write_bytes(form.data)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    print(
        f"{out}: {version(number, form.data)}, {_kind(form.prototypes)}, {len(form.data):,} bytes"
    )


def _phrases(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not 1 <= len(found) <= wire.MAX_ROWS:
        raise ConfigError(f"{path}: {len(found)} phrases; a set holds 1 to {wire.MAX_ROWS:,}")
    return found


def _policy_phrases(path: Path | None) -> list[str]:
    found = policy_files.load(path) if path is not None else []
    phrases = sorted({phrase for policy in found for phrase in policy.phrases})
    if not phrases:
        raise ConfigError(f"{path}: no policy with a phrase")
    return phrases


def _read(path: Path) -> tuple[bytes, AnySet]:
    data = fleets.set_file(path)
    return data, read_set(data)


def _kind(found: AnySet) -> str:
    if isinstance(found, CodebookSet):
        return f"{found.count:,} classes of {len(found.widths)} codewords at {found.dim}-d"
    return f"{found.count:,} classes of 4 bits, {found.dim}-d nested"


@app.command("inspect")
def inspect(
    file: Annotated[Path, typer.Argument(help="a prototype set file")],
    rows: Annotated[int, typer.Option(help="how many classes to list", min=0)] = 20,
) -> None:
    """Show what is in a set: header, canaries, and scale and calibration of its classes."""
    data, found = _read(file)
    console = Console(highlight=False)
    console.print(f"{version(found.number, data)}  {_kind(found)}, {len(data):,} bytes")
    console.print(f"encoder {found.encoder_hash.hex()}, epoch {found.epoch}, number {found.number}")
    console.print(f"rows are reported from margin {found.report_q8 / 256:+.2f} on")
    for row, _ in found.canaries:
        console.print(f"canary: class {row} ({_name(found, row)})")
    table = Table()
    for heading in ("row", "class", "scales" if not isinstance(found, CodebookSet) else "codes"):
        table.add_column(heading)
    for heading in ("mult / 2^shift", "offset"):
        table.add_column(heading, justify="right")
    for row in range(min(rows, found.count)):
        table.add_row(str(row), _name(found, row), *_calibration(found, row))
    console.print(table)
    if found.count > rows:
        console.print(f"and {found.count - rows:,} more; --rows {found.count} lists all")


def _name(found: AnySet, row: int) -> str:
    return found.names[row] if found.names else "-"


def _calibration(found: AnySet, row: int) -> tuple[str, str, str]:
    if isinstance(found, CodebookSet):
        codes = " ".join(map(str, found.codes[row].tolist()))
        return codes, f"{found.mult[row]} / 2^{found.shift}", str(found.offset[row])
    scales = " ".join(map(str, found.scale[:, row].tolist()))
    plane = min(found.planes, wire.SET_DIMS.index(64) + 1) - 1
    return (
        scales,
        f"{found.mult[plane, row]} / 2^{found.shift[plane]}",
        str(found.offset[plane, row]),
    )


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(help="the set that devices have")],
    new: Annotated[Path, typer.Argument(help="the set they should get")],
) -> None:
    """Show which classes come, go and change between two sets, and what that costs on the wire."""
    (before, one), (after, other) = _read(old), _read(new)
    if not one.names or not other.names:
        raise ConfigError(
            "a set without names cannot be compared by class; build it with more room"
        )
    rows, changed = _rows_by_name(one), _rows_by_name(other)
    console = Console(highlight=False)
    for mark, names in (
        ("[green]+[/]", [name for name in other.names if name not in rows]),
        ("[red]-[/]", [name for name in one.names if name not in changed]),
        ("[yellow]~[/]", [n for n in one.names if n in changed and changed[n] != rows[n]]),
    ):
        for name in names:
            console.print(f"{mark} {name}")
    delta = encode_delta(before, after)
    if before == after:
        console.print("the same set")
    elif delta is None:
        console.print(f"no delta between these kinds of set: all {len(after):,} bytes travel")
    elif len(delta) > wire.MAX_DELTA_BYTES or len(delta) >= len(after):
        console.print(f"delta {len(delta):,} bytes, too large: all {len(after):,} bytes travel")
    else:
        console.print(f"delta {len(delta):,} bytes instead of {len(after):,}")


def _rows_by_name(found: AnySet) -> dict[str, bytes]:
    if isinstance(found, CodebookSet):
        parts = (found.rows(), found.mult[:, None], found.offset[:, None])
        table = np.hstack([np.asarray(part, np.int32) for part in parts])
    else:
        columns = (found.codes, found.scale.T, found.mult.T, found.offset.T)
        table = np.hstack([np.asarray(column, np.int32) for column in columns])
    return {name: table[row].tobytes() for row, name in enumerate(found.names)}


app.command("rollout")(fleets.rollout)
app.command("rollback")(fleets.rollback)
app.command("resume")(fleets.resume)
app.command("stop")(fleets.stop)
app.command("status")(fleets.status)
app.command("history")(fleets.history)
