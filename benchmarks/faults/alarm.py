"""An end for what might have none: work that takes too long is stopped and counted as a hang."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class Hang(Exception):
    """The work did not end."""


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise :class:`Hang` in the main thread when ``seconds`` of the clock have gone by."""

    def ring(*_: object) -> None:
        raise Hang(f"no end after {seconds} s")

    kept = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)
