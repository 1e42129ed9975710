"""A sign of life, given now and then by a thread while a process works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from thalweg.errors import StoreError

BEAT_SECONDS = 60.0
"""How often; a tenth of the time after which another host takes a task for abandoned."""


@contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat`` every :data:`BEAT_SECONDS` while this is entered.

    A beat that the store refuses is left out: what it costs at most is a task that is computed twice.
    """
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(StoreError):
                beat()

    thread = threading.Thread(target=live, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)
