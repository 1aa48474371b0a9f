"""`moteye tokens`: who may use the HTTP API."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from moteye.api.tokens import SCOPES, Tokens
from moteye.store import state_folder

app = typer.Typer(help="Make and remove tokens for the HTTP API.", no_args_is_help=True)
TOKENS_FILE = "tokens.json"
_SCOPES = "; ".join(f"{name}: {what}" for name, what in SCOPES.items())


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="what the token is for")],
    scope: Annotated[
        list[str], typer.Option(help="; ".join(f"{k}: {v}" for k, v in SCOPES.items()))
    ],
) -> None:
    """Make a token and print it, once; only its hash is kept."""
    print(Tokens(state_folder() / TOKENS_FILE).add(name, scope))


@app.command("list")
def list_tokens() -> None:
    """List the tokens by name."""
    found = Tokens(state_folder() / TOKENS_FILE).all()
    if not found:
        print("no tokens: make one with `moteye tokens add NAME --scope read`")
        return
    table = Table()
    for heading in ("name", "scopes"):
        table.add_column(heading)
    for token in found:
        table.add_row(token.name, ", ".join(token.scopes))
    Console().print(table)


@app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="the token's name")]) -> None:
    """Remove a token; requests with it are refused from then on."""
    Tokens(state_folder() / TOKENS_FILE).remove(name)
    print(f"removed: {name}")
