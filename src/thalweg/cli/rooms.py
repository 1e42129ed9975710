"""The parser with every room's commands."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg import __version__
from thalweg.cli import escape, minima, paths, points, runs, slices, stored, whole
from thalweg.cli.run import app as app
from thalweg.limits import at_most, size

ROOMS = (slices, points, runs, paths, minima, escape, whole, stored)
"""Modules of commands, in the order in which the help lists them; importing them adds their commands."""

app.registered_commands.sort(key=lambda command: [room.__name__ for room in ROOMS].index(command.callback.__module__))


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    max_bytes: Annotated[
        str | None,
        typer.Option("--max-bytes", help="What a packed file may grow to when it is read: 2GiB; before the command."),
    ] = None,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if max_bytes is not None:
        context.with_resource(at_most(size(max_bytes, "--max-bytes")))
