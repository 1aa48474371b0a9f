"""The command tree."""

import sys

import typer
from rich.console import Console

from moteye import __version__
from moteye.cli import (
    ack,
    actions,
    conformance,
    devices,
    doctor,
    example,
    feedback,
    history,
    keys,
    model,
    policies,
    prototypes,
    run,
    score,
    search,
    tokens,
    watch,
)
from moteye.errors import MoteyeError

app = typer.Typer(
    name="moteye",
    help="A camera that knows words: policies in YAML, decisions on the edge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("watch")(watch.watch)
app.command("score")(score.score)
app.command("ack")(ack.acknowledge)
app.command("search")(search.search)
app.command("feedback")(feedback.feedback)
app.command("example")(example.example)
app.command("why")(history.why)
app.command("decisions")(history.decisions)
app.command("backtest")(history.backtest)
app.command("conformance")(conformance.conformance)
app.add_typer(actions.app, name="actions")
app.command("doctor")(doctor.doctor)
app.add_typer(policies.app, name="policies")
app.add_typer(prototypes.app, name="prototypes")
app.add_typer(devices.app, name="devices")
app.add_typer(keys.app, name="keys")
app.add_typer(model.app, name="model")
app.add_typer(tokens.app, name="tokens")


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Entry point of the `moteye` command."""
    try:
        app()
    except MoteyeError as error:
        Console(stderr=True).print(f"[bold red]error[/]: {_escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")
