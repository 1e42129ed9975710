"""The command line: each command is one study; ``--json`` prints one object and nothing else on stdout."""

from __future__ import annotations

import difflib
import shlex
import sys
from typing import Any

from thalweg.cli.interrupts import Interrupted, Interrupts, advice
from thalweg.errors import ThalwegError
from thalweg.exec.ranks import alone, speaks, whose

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 2 and one line on stderr for anything that cannot be done.

    An interrupted command ends with 128 + the signal, 130 after Ctrl-C, and says how to go on.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with Interrupts() as interrupts:
        try:
            import typer  # here, because Ctrl-C may come while it is loaded

            command = typer.main.get_command(__getattr__("app"))
            code = command.main(args=given or ["--help"], prog_name="thalweg", standalone_mode=False)
        except BaseException as error:
            if isinstance(error, Interrupted):
                _fail(advice(given, error.kept), code=interrupts.code or 130)
            if interrupts.code is not None:  # whatever was made of it on its way up
                _fail(advice(given, True if "--out" in given else None), code=interrupts.code)
            if isinstance(error, ThalwegError):
                _fail(str(error))
            # The parser's usage errors share no public base class across versions of typer; they all have this.
            if not hasattr(error, "format_message"):
                if not alone():
                    _fail(f"{type(error).__name__}: {error} (one process alone shows where)", code=1)
                raise
            _fail(f"{_usage(error)} (given: thalweg {shlex.join(given)})")
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> str:
    """A usage error in one line: what is wrong, the name that is meant or where to look."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    where = f"; see {context.command_path} --help" if context is not None else ""
    near = difflib.get_close_matches(option, getattr(error, "possibilities", None) or (), 1) if option else []
    if near:
        return f"there is no option {option}: did you mean {near[0]}?"
    if type(error).__name__ == "NoSuchOption":
        return f"there is no option {option}{where}"
    said = str(error.format_message()).partition(", unable to parse")[0].rstrip(".")
    return said if "Did you mean" in said else f"{said}{where}"


def _fail(message: str, code: int = 2) -> None:
    line = " ".join(message.split())
    if speaks():
        print(f"thalweg: {whose()}{line}", file=sys.stderr)
    sys.exit(code)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from thalweg.cli.rooms import app

    return app
