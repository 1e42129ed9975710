"""The ranks that torchrun started, and the store through which they talk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from thalweg.errors import InputError, StoreError
from thalweg.exec import ranks
from thalweg.exec.messages import Store, await_key

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

JOIN_SECONDS = 300.0
"""How long ranks wait for each other to be started."""

LEAVE_SECONDS = 60.0
"""How long rank 0, where it serves the store itself, waits for the others to have read everything."""


@dataclass(frozen=True)
class Team:
    """Number ``rank`` of ``size`` processes that carry out one command.

    ``store`` is empty when the command begins. ``lasting`` is kept by the launcher while it starts the ranks again,
    ``restarts`` times so far. ``mail`` is a second connection, for a thread: a client's calls wait for each other.
    """

    rank: int
    size: int
    store: Store
    mail: Store
    lasting: Store
    restarts: int = 0
    serves: bool = False
    opened: list[ProcessGroup] = field(default_factory=list)

    def first(self, what: str) -> bool:
        """Whether this rank is the first to ask this."""
        return self.store.add(f"first/{what}", 1) == 1

    def group(self) -> ProcessGroup:
        """The process group of all ranks, made when it is first asked for by all: nccl on a GPU, else gloo."""
        from torch import distributed as dist
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        if not self.opened:
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            base = PrefixStore("group", self.store)  # type: ignore[arg-type]
            dist.init_process_group(backend, store=base, rank=self.rank, world_size=self.size)
            assert dist.group.WORLD is not None
            self.opened.append(dist.group.WORLD)
        return self.opened[0]

    def leave(self) -> None:
        """Let go of the group; the rank that serves the store stays until the others have left."""
        if self.opened:
            from torch import distributed as dist

            dist.destroy_process_group()
            self.opened.clear()
        if self.store.add("left", 1) == self.size:
            self.store.set("all left", "1")
        elif self.serves:
            slept = iter(range(int(LEAVE_SECONDS / 0.01)))
            await_key(self.store, "all left", stop=lambda: next(slept, None) is None)


_joined: list[Team] = []
_commands = 0


def joined() -> Team | None:
    """The team of the command that is being carried out; None where this process works alone."""
    return _joined[-1] if _joined else None


@contextmanager
def join() -> Iterator[Team | None]:
    """Carry out one command with the other ranks; None where there are none.

    Every rank calls this as often as the others. A rank that fails says so to the rest, and only the first to fail
    prints why.

    Raises
    ------
    InputError
        If rank 0 cannot be reached.
    """
    here = ranks.place()
    if here is None:
        yield None
        return
    team = _connected(here)
    _joined.append(team)
    try:
        yield team
    except BaseException as error:
        if _said(team) or not isinstance(error, Exception):
            raise
        ranks.hush(False)
        raise StoreError("rank 0 is gone: start all ranks again; with --out and --resume they go on") from error
    else:
        team.leave()
    finally:
        _joined.remove(team)


def _said(team: Team) -> bool:
    """Settle who says why the ranks end, the first to fail; False where the store that knows is gone with rank 0.

    A launcher that serves the store itself ends all ranks when it ends, and says so.
    """
    try:
        ranks.hush(not team.first("failed"))
    except RuntimeError:
        ranks.hush(True)
        return _launched()
    return True


def _launched() -> bool:
    """Whether the launcher serves the store, as torchrun does; else rank 0 does."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _connected(here: ranks.Place) -> Team:
    """Connections to the store, which the launcher serves, or rank 0."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # not in every build of torch

    global _commands
    _commands += 1
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    serves = here.rank == 0 and not _launched()
    wait = timedelta(seconds=JOIN_SECONDS)

    def connection(master: bool) -> TCPStore:
        return TCPStore(host, port, None, master, timeout=wait, wait_for_workers=False, multi_tenant=True)

    try:
        lasting, mail = connection(serves), connection(False)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"rank {here.rank}: MASTER_ADDR={host} MASTER_PORT={port}: {reason}; use torchrun") from error
    if torch.cuda.is_available():
        torch.cuda.set_device(here.local % torch.cuda.device_count())
    # The launcher's store outlives a restart of the ranks, and a size may change with it.
    prefix = f"thalweg/{here.restarts}/{here.size}/{_commands}"
    store = PrefixStore(prefix, lasting)
    return Team(here.rank, here.size, store, PrefixStore(prefix, mail), lasting, here.restarts, serves)
