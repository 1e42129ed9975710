"""Progress on stderr: one bar per piece of work, silent where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from thalweg.exec.ranks import follows


@contextmanager
def bar(label: str, *, enabled: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """A function watch(done, total) that draws a bar with the remaining time; None where stderr is no terminal.

    A total of 0 means unknown: the bar pulses and shows the count.
    """
    if not enabled or follows() or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        last = 0.0

        def watch(done: int, total: int) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last > 0.05 or done == total:
                last = now
                progress.update(task, completed=done, total=total or None)

        yield watch
