"""Who works on a task, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

EXPIRY_SECONDS = 600.0
"""A lease held on another host that was not renewed for this long counts as abandoned; a living process renews it ten
times as often. On this host the process itself is looked at."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its host, its number, and when it began, because numbers are given out again."""

    host: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Owner:
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid(), _started(os.getpid()) or "")

    def gone(self, leased: float) -> bool:
        """Whether the process has ended; on another host, whether its lease of time ``leased`` has expired."""
        # Signal 0 asks about a process on POSIX systems alone; elsewhere it would end it.
        if self.host != socket.gethostname() or os.name != "posix":
            return self != Owner.this() and time.time() - leased > EXPIRY_SECONDS
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # alive, and somebody else's
        started = _started(self.pid)
        if started is None or not self.started:
            return False  # alive, and the system does not say since when
        return started != self.started


def _started(pid: int) -> str | None:
    """The boot and the clock tick since it at which a process began; 'ended' for a zombie; None where unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name of the program is in parentheses and may hold spaces
    return "ended" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
