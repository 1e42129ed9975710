"""Ctrl-C and SIGTERM: the first ends a command in order, those that come while it closes are passed over."""

from __future__ import annotations

import atexit
import os
import shlex
import signal
import threading
import time
from types import FrameType
from typing import Any

GRACE_SECONDS = 2.0
"""How long a command may take to close; a signal after that ends it at once, as kill -9 would, and as harmlessly."""


class Interrupted(Exception):
    """A signal inside a command, which ``kept`` what it had done, kept nothing, or (None) had nothing to keep."""

    def __init__(self, kept: bool | None = None) -> None:
        super().__init__("interrupted")
        self.kept = kept


class Interrupts:
    """A context in which SIGINT and SIGTERM raise KeyboardInterrupt once; ``code`` is then 128 + the signal.

    An impatient second Ctrl-C would otherwise strike in the clean-up that the first one began. Signals that were
    ignored when the process began stay ignored, and threads other than the main one change nothing.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._since = 0.0
        self._ended = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self.code is None:
            self._restore()
        else:  # the end of the process is part of closing, in which the interpreter goes back to dying of a signal
            atexit.register(self._ignore)

    def _ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.code is None:
            self.code, self._since = 128 + number, now
            raise KeyboardInterrupt
        if now - self._since < GRACE_SECONDS:
            return
        if self._ended:  # a session that outlives the command has its own way with signals again
            self._restore()
            signal.raise_signal(number)
            return
        os.write(2, b"\nthalweg: ended at once; what was kept is as after any kill\n")
        os._exit(128 + number)


def advice(arguments: list[str], kept: bool | None) -> str:
    """How to go on with an interrupted command: the very command."""
    if kept is None:
        return "interrupted"
    if not kept:
        return "interrupted, and nothing was kept: with --out DIR the same command keeps what it has done"
    again = arguments if "--resume" in arguments else [*arguments, "--resume"]
    return f"interrupted; go on with: thalweg {shlex.join(again)}"
