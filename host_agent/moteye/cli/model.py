"""`moteye model`: compile encoders for devices."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from moteye.cli import model_check
from moteye.compiler import compile_with_report

app = typer.Typer(help="Compile models for devices.", no_args_is_help=True)
app.command("check")(model_check.check)


@app.command("compile")
def compile_command(
    source: Annotated[Path, typer.Argument(metavar="MODEL.tflite", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="the model pack to write")],
) -> None:
    """Compile an int8 .tflite to a model pack that runs in place from flash."""
    pack, report = compile_with_report(source.read_bytes())
    partial = output.with_suffix(".part")
    partial.write_bytes(pack)
    partial.replace(output)
    Console().print(f"{output}: {report}")
