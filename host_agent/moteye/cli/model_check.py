"""`moteye model check`: whether a model fits a board."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet
from rich.console import Console
from rich.markup import escape

from moteye.compiler.boards import boards, check_model


def check(
    source: Annotated[Path, typer.Argument(metavar="MODEL.tflite", exists=True, dir_okay=False)],
    board: Annotated[
        str, typer.Option("--board", help="stm32h7, stm32n6, esp32s3, rp2350 or max78000")
    ],
    prototypes: Annotated[
        int, typer.Option(min=1, max=wire.MAX_ROWS, help="classes of a set")
    ] = 100,
    dim: Annotated[int, typer.Option(help="dimension of a set: 16, 32, 64, 128, 256")] = 64,
    frame: Annotated[str, typer.Option(help="the camera's picture, WIDTHxHEIGHT")] = "160x120",
) -> None:
    """Say whether an int8 model fits a board, and what does not, with the number.

    Exit code 0 when it fits, 1 when not.
    """
    known = boards()
    if board not in known:
        names = ", ".join(f"{name} ({entry.title})" for name, entry in known.items())
        raise typer.BadParameter(f"unknown board {board!r}; known: {names}", param_hint="--board")
    width, _, height = frame.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise typer.BadParameter(f"{frame!r} is not WIDTHxHEIGHT", param_hint="--frame")
    if dim not in wire.SET_DIMS:
        raise typer.BadParameter(f"{dim} is none of {wire.SET_DIMS}", param_hint="--dim")
    found = check_model(
        source.read_bytes(),
        known[board],
        set_bytes=_set_bytes(prototypes, dim),
        frame=(int(width), int(height)),
    )
    console = Console(soft_wrap=True)
    for finding in found:
        mark = "[green]fits[/]" if finding.fits else "[bold red]no  [/]"
        console.print(f"{mark}  {finding.what}: {escape(finding.text)}", highlight=False)
    fits = all(finding.fits for finding in found)
    console.print(f"{source.name} {'fits' if fits else 'does not fit'} {known[board].title}")
    if not fits:
        raise typer.Exit(1)


def _set_bytes(count: int, dim: int) -> int:
    """Size of a prototype set whose names are as long as household words."""
    planes = wire.SET_DIMS.index(dim) + 1
    names = tuple(f"a potted plant {row}" for row in range(count))
    codes = np.zeros((count, dim), np.int8)
    scale = np.zeros((planes, count), np.uint8)
    mult, offset = scale.astype(np.uint16), scale.astype(np.int16)
    shift = (0,) * planes
    return len(PrototypeSet(bytes(8), 1, names, codes, scale, mult, offset, shift).encode())
