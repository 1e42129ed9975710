"""Progress on stderr: one bar per piece of work, silent where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from thalweg.exec.ranks import follows


class Pace:
    """How long the rest takes, by what was done since the first look; what was found done says nothing of that."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None

    def left(self, now: float, done: int, total: int) -> float | None:
        """Seconds that are left at time ``now`` [s]; None while nothing was done yet, or the total is unknown."""
        since, had = self._since = self._since or (now, done)
        return (now - since) * (total - done) / (done - had) if total and done > had else None


@contextmanager
def bar(label: str, *, enabled: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """A function watch(done, total) that draws a bar with the remaining time; None where stderr is no terminal.

    A total of 0 means unknown: the bar pulses and shows the count.
    """
    if not enabled or follows() or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # The package's own estimate forgets what is older than half a minute: one task may take longer.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None, left="")
        last, pace = 0.0, Pace()

        def watch(done: int, total: int) -> None:
            nonlocal last
            now = time.perf_counter()
            seconds = pace.left(now, done, total)
            if now - last > 0.05 or done == total:
                last = now
                left = "" if seconds is None else f"{timedelta(seconds=round(seconds))} left"
                progress.update(task, completed=done, total=total or None, left=left)

        yield watch
