"""The `moteye` command. One module a subcommand; errors of ours end in one line and exit code 1."""

from moteye.cli.app import main

__all__ = ["main"]
