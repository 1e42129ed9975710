"""The parser with every room's commands."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg import __version__
from thalweg.cli import escape, minima, paths, points, runs, slices, stored, whole
from thalweg.cli.run import app

ROOMS = (slices, points, runs, paths, minima, escape, whole, stored)
"""Modules of commands, in the order in which the help lists them; importing them adds their commands."""

app.registered_commands.sort(key=lambda command: [room.__name__ for room in ROOMS].index(command.callback.__module__))


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
