"""What this process is in the command that is being carried out: rank 0, one that helps it, or alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from thalweg.exec.distributed import join
from thalweg.exec.follower import Follower
from thalweg.exec.leader import Leader

_roles: list[Leader | Follower] = []


def role() -> Leader | Follower | None:
    """This process's part in the command; None where it works alone."""
    return _roles[-1] if _roles else None


@contextmanager
def together() -> Iterator[None]:
    """Carry out one command with the other ranks, if there are any.

    Raises
    ------
    InputError
        If rank 0 cannot be reached.
    """
    with join() as team:
        if team is None:
            yield
            return
        mine = Leader(team) if team.rank == 0 else Follower(team)
        _roles.append(mine)
        try:
            yield
        except BaseException as error:
            with suppress(RuntimeError):  # the store ended with the rank that failed first
                mine.close(error)
            raise
        else:
            mine.close()
        finally:
            _roles.remove(mine)
