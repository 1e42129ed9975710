"""Which of several processes this is, from the environment that torchrun sets; read without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_silent: bool | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """This process is number ``rank`` of ``size``; ``restarts`` counts how often all of them were started again."""

    rank: int
    size: int
    local: int = 0
    restarts: int = 0


def place() -> Place | None:
    """Where this process stands among the ranks; None where it was started alone."""
    if any(not os.environ.get(name) for name in NEEDED):
        return None
    numbers = [int(os.environ.get(n, "0")) for n in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")]
    return Place(*numbers)


def follows() -> bool:
    """Whether another rank prints and owns what is kept."""
    here = place()
    return here is not None and here.rank > 0


def alone() -> bool:
    """Whether this process has no others beside it."""
    here = place()
    return here is None or here.size == 1


def hush(silent: bool) -> None:
    """Settle whether this process says why it fails: of several that fail, the first one does."""
    global _silent
    _silent = silent


def whose() -> str:
    """What an error of this process begins with."""
    return f"rank {os.environ['RANK']}: " if follows() else ""


def speaks() -> bool:
    """Whether an error of this process is to be printed."""
    return not (follows() if _silent is None else _silent)
