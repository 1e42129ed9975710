"""A command run: quiet on stdout, one JSON object or the text."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from thalweg.cli.interrupts import Interrupted
from thalweg.cli.overview import Overview
from thalweg.errors import InputError
from thalweg.exec.ranks import follows

if TYPE_CHECKING:
    from thalweg.study import Request

app = typer.Typer(
    name="thalweg",
    help="A workbench for the loss landscapes of neural networks. Every answer says how sure it is.",
    cls=Overview,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def study(command: str, given: dict[str, Any], options: dict[str, Any]) -> None:
    """Run a study command from its local variables.

    Raises
    ------
    InputError
        If ``--resume`` names no directory, or ``--split`` something that is not offered.
    """
    if given["resume"] and given["out"] is None:
        raise InputError("--resume goes on with the study in a directory: name it by --out DIR")
    if given["split"] not in ("points", "rows"):
        raise InputError(f"--split {given['split']} is unknown: choose points or rows")

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import Request, Subject, perform

        subject = Subject(
            name=given["subject"],
            checkpoints=tuple(given["checkpoint"] or ()),
            data=given["data"],
            parameters=parameters(given["set_"] or []),
            seed=given["seed"],
            dtype=given["dtype"],
            backend=given["backend"],
            statistics=given["statistics"],
        )
        kept, resume = given["out"], given["resume"]
        request: Request = Request(command, subject, options, kept, resume, given["threads"], given["split"])
        return perform(request, values=given["values"])

    answer(run, given["as_json"], kept=given["out"] is not None, ranks=True)


def answer(
    run: Callable[[], tuple[dict[str, Any], str]], as_json: bool, kept: bool | None = None, ranks: bool = False
) -> None:
    """Print the object or the text; while the command runs, whatever writes to stdout goes to stderr.

    ``kept`` is whether what is done stays when the command is interrupted; None where there is nothing to go on with.
    Of several ranks the first alone prints, and carries out what has no use for others: ``ranks`` says what has.

    Raises
    ------
    Interrupted
        At Ctrl-C or SIGTERM, for which the parser would end the process before anything is said.
    """
    clock = time.perf_counter()
    if follows() and not ranks:
        return
    try:
        with _quiet_stdout(), _one_line_warnings():
            found, text = run()
    except KeyboardInterrupt:
        raise Interrupted(kept) from None
    if follows():
        return
    if not as_json:
        typer.echo(text)
        return
    found.setdefault("seconds", time.perf_counter() - clock)
    typer.echo(json.dumps(found, allow_nan=False))


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Send file descriptor 1 to 2: a user's print, or a C library's, must not spoil the JSON object.

    What a rank after the first writes there is what the first one writes too, and goes nowhere.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    with Path(os.devnull).open("w") if follows() else contextlib.nullcontext(sys.stderr) as elsewhere:
        os.dup2(elsewhere.fileno() if follows() else 2, 1)
        try:
            with contextlib.redirect_stdout(elsewhere):
                yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    def one_line(message: Warning | str, category: type[Warning], *_: Any) -> str:
        if follows():
            return ""
        return f"thalweg: {category.__name__}: {' '.join(str(message).split())}\n"

    kept = warnings.formatwarning
    warnings.formatwarning = one_line  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = kept


def parameters(pairs: list[str]) -> dict[str, Any]:
    """key=value pairs as a dictionary: JSON where it is, else text.

    Raises
    ------
    InputError
        If one has no key or no value.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair}: write key=value")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found
