"""`moteye model`: compile int8 models for devices, and measure them."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from moteye.cli import model_check
from moteye.compiler import ARENA_GOAL_BYTES, compile_with_report
from moteye.compiler.operators import operators_source
from moteye.resources import checkout

app = typer.Typer(help="Compile models for devices.", no_args_is_help=True)
app.command("check")(model_check.check)

Source = Annotated[Path, typer.Argument(metavar="MODEL.tflite", exists=True, dir_okay=False)]


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)


class Target(StrEnum):
    """Where `bench` runs a model."""

    CORTEX_M7 = "cortex-m7"
    CORTEX_M55 = "cortex-m55"
    X86 = "x86"


@app.command("bench")
def bench_command(
    source: Source,
    target: Annotated[Target, typer.Option("--target", help="the processor")],
    profile: Annotated[bool, typer.Option("--profile", help="the cost of every record")] = False,
) -> None:
    """Count a model's instructions on an emulated core, or time it here beside XNNPACK.

    Needs a checkout; the emulated cores need gcc-arm-none-eabi and qemu-system-arm.
    """
    script = checkout() / "tests" / "bench" / "device" / "bench_one.py"
    command = [sys.executable, str(script), str(source), "--target", target.value]
    command += ["--profile"] if profile else []
    done = subprocess.run(command, check=False)  # noqa: S603 - our own script
    raise typer.Exit(done.returncode)


@app.command("compile")
def compile_command(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", help="the model pack to write")],
    remove_dead: Annotated[
        bool, typer.Option("--remove-dead", help="take constant channels out: same outputs")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="say what was removed, and what the ends became")
    ] = False,
    arena_goal: Annotated[
        int,
        typer.Option(min=0, help="bytes of arena above which convolutions are streamed by rows"),
    ] = ARENA_GOAL_BYTES,
    show_plan: Annotated[
        bool, typer.Option("--show-plan", help="draw the arena: what stands where, and when")
    ] = False,
    plan_svg: Annotated[
        Path | None, typer.Option("--plan-svg", metavar="FILE.svg", help="the same as a picture")
    ] = None,
    operators: Annotated[
        Path | None,
        typer.Option("--operators", metavar="FILE.c", help="write the firmware's operator list"),
    ] = None,
) -> None:
    """Compile an int8 or uint8 .tflite to a model pack that runs in place from flash."""
    pack, result = compile_with_report(
        source.read_bytes(), remove_dead=remove_dead, arena_goal=arena_goal
    )
    _write(output, pack)
    if operators is not None:
        _write(operators, operators_source(pack).encode())
    if plan_svg is not None:
        _write(plan_svg, result.drawing.svg().encode())
    # Lines of a report are data: no markup, and never broken in two.
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(f"{output}: {result}")
    for line in (*result.removed, *result.notes) if report else result.notes:
        console.print(line)
    if show_plan:
        console.print(result.drawing.text())
