"""Work in forked children of one process that has everything loaded: watched line by line, killed where one likes."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

WATCHED = ("/thalweg/store/", "/thalweg/trajectories/", "/thalweg/study/session.py", "/zarr/storage/_local.py")
"""Code whose lines are counted: all that writes a study or a recording."""


HANG_SECONDS = 300
"""A child that takes longer is ended by SIGALRM, so that one without an end is seen."""


@dataclass(frozen=True)
class Moment:
    """When a child is sent a signal: after ``seconds``, or at the ``line``-th line of the watched code.

    ``late`` lets it run on from that line until the signal of another process reaches it: inside the system call, the
    commit or the drawing that follows.
    """

    seconds: float | None = None
    line: int | None = None
    late: bool = False
    signal: int = signal.SIGKILL


@dataclass(frozen=True)
class End:
    """How a child ended: its exit code (−9 when killed), what it printed, the place of the kill, the lines counted."""

    code: int
    text: str
    place: str
    lines: int
    seconds: float


_parsers: dict[Any, Any] = {}


@functools.cache
def load() -> None:
    """Import what every command needs, read its options and draw a first figure, so that children need not."""
    import torch
    import typer
    import zarr  # noqa: F401

    import thalweg as tw
    import thalweg.study
    import thalweg.trajectories.segments_zarr
    from thalweg.cli import app
    from thalweg.plot import save

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    _parsers[app] = typer.main.get_command(app)
    network = tw.zoo.polynomial()
    with tempfile.TemporaryDirectory() as folder:
        save(tw.slices.Line(steps=3)(network, network.initial), Path(folder) / "line.png")
        save(tw.slices.Plane(steps=3)(network, network.initial), Path(folder) / "plane.png")


def run(work: Callable[[], object], moment: Moment | None = None, *, count: bool = False) -> End:
    """Carry out ``work`` in a child; what it returns as an integer, or ends with, is the exit code."""
    moment, clock = moment or Moment(), time.perf_counter()
    with tempfile.TemporaryFile() as out:
        told, tell = os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads: those here are idle
            pid = os.fork()
        if pid == 0:
            os.close(told)
            _child(work, moment, count, tell, out.fileno())
        os.close(tell)
        try:
            place = _wait(pid, told, moment)
            _, status = os.waitpid(pid, 0)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        finally:
            os.close(told)
        out.seek(0)
        text = out.read().decode(errors="replace")
    code, words = os.waitstatus_to_exitcode(status), place.split()
    struck = words[1] if len(words) > 1 and words[1] != "-" else ""
    return End(code, text, struck, int(words[0]) if words else 0, time.perf_counter() - clock)


def _wait(pid: int, told: int, moment: Moment) -> str:
    """What the child tells before it ends; kills it at its moment."""
    if moment.seconds is not None:
        time.sleep(moment.seconds)
        os.kill(pid, moment.signal)
    said = b""
    while part := os.read(told, 4096):
        if moment.late and not said:
            os.kill(pid, moment.signal)
        said += part
    return said.decode()


def _child(work: Callable[[], object], moment: Moment, count: bool, tell: int, out: int) -> None:
    code = 70
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        gc.freeze()  # a collection would otherwise copy every page that it looks at
        if _parsers:
            import typer

            typer.main.get_command = _parsers.__getitem__
        lines = Lines(moment, tell) if count or moment.line is not None else None
        try:
            found = work()
            code = found if isinstance(found, int) else 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if lines is not None:
            lines.stop()
            os.write(tell, f"{lines.count} - ".encode())
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


class Lines:
    """Counts the lines of the watched code in all threads, and strikes at one of them."""

    def __init__(self, moment: Moment, tell: int) -> None:
        self.count = 0
        self._moment, self._tell = moment, tell
        self._number = itertools.count(1)  # whose next() no other thread can interrupt
        self._watched: dict[str, bool] = {}
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> None:
        """Count no further."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self._watched:
            self._watched[name] = any(part in name for part in WATCHED)
        return self._line if self._watched[name] else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.count = next(self._number)
            if self.count == self._moment.line:
                self._strike(frame)
        return self._line

    def _strike(self, frame: FrameType) -> None:
        file = frame.f_code.co_filename.replace("\\", "/").rsplit("/", 2)
        place = f"{file[-2]}/{file[-1].removesuffix('.py')}.{frame.f_code.co_name}"
        os.write(self._tell, f"{self.count} {place} ".encode())
        if not self._moment.late:
            os.kill(os.getpid(), self._moment.signal)
