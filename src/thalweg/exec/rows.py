"""The rows of a risk shared out over the ranks: rank 0 runs the method, all ranks evaluate every point it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from thalweg.core.channel import Channel, Message
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rows import bounds
from thalweg.core.shard import Shard, placed, share_of
from thalweg.core.sharing import Split, State
from thalweg.core.statistics import digest
from thalweg.errors import InputError
from thalweg.exec.distributed import join
from thalweg.exec.gloo import Ranks
from thalweg.exec.patience import patience as patience
from thalweg.exec.serving import serve


def over_rows(objective: Objective, channel: Channel | None = None) -> Objective | None:
    """On rank 0 the objective over rows that are shared out; on the others None, once rank 0 has let them go.

    Every rank calls this with the same objective; each keeps its share of the row blocks, neighbouring ones. In
    between the others evaluate what rank 0 asks for. Sums are added over a fixed tree of the blocks, so values,
    gradients and products are those of one process that takes the same blocks, bit for bit, where the ranks compute
    alike (same machine, same number of threads). :func:`let_go` ends it.

    Raises
    ------
    InputError
        If the objective has no rows, or the ranks were not given the same.
    """
    if not isinstance(objective, EmpiricalRisk):
        raise InputError(f"--split rows: {type(objective).__name__} has no rows; use --split points")
    channel = channel or Ranks()
    blocks = objective._parts.blocks
    shared = shard(objective, channel)
    about = _about(objective, blocks.digest)
    if channel.rank:
        channel.send(about)
        serve(shared, channel)
        return None
    differing = [(r, _difference(about, channel.receive(r))) for r in range(1, channel.size)]
    for rank, difference in differing:
        if difference:
            channel.tell({"what": "end"})
            raise InputError(f"rank {rank} was given other {difference} than rank 0: seed what the subject draws")
    return shared


class Served(Exception):
    """A rank has evaluated what rank 0 asked for, and has nothing further to do in this command."""


@contextmanager
def shared_rows() -> Iterator[None]:
    """Carry out one command on rank 0, with rows over all ranks once :func:`spread` is called.

    Raises
    ------
    InputError
        If there are no ranks.
    """
    with join() as team:
        if team is None:
            raise InputError("--split rows shares rows out over ranks: torchrun --nproc-per-node 2 -m thalweg …")
        team.group()
        spreading = _Spreading(Ranks(patience=patience()))
        _spreading.append(spreading)
        try:
            yield
        except Served:
            pass
        finally:
            _spreading.remove(spreading)
            for objective in spreading.made:
                let_go(objective)


def spread(objective: Objective) -> Objective:
    """The objective over rows that are shared out, inside :func:`shared_rows`; elsewhere as it is.

    Raises
    ------
    Served
        On every rank but the first, once it is let go.
    """
    if not _spreading:
        return objective
    made = over_rows(objective, _spreading[-1].channel)
    if made is None:
        raise Served
    _spreading[-1].made.append(made)
    return made


@dataclass
class _Spreading:
    channel: Channel
    made: list[Objective] = field(default_factory=list)


_spreading: list[_Spreading] = []


def let_go(objective: Objective | None) -> None:
    """Tell the other ranks that nothing more will be asked; call it on what :func:`over_rows` gave."""
    blocks = objective._parts.blocks if isinstance(objective, EmpiricalRisk) else None
    if isinstance(blocks, Split) and not blocks.state.broken:
        blocks.state.broken = True
        blocks.here.channel.tell({"what": "end"})


def shard(objective: EmpiricalRisk, channel: Channel) -> EmpiricalRisk:
    """The objective with only the rows of this rank in memory, where streamed ones are now held too."""
    whole = objective._parts.blocks
    every = bounds(whole.rows, whole.most)
    mine = share_of(len(every), channel.rank, channel.size)
    low, high = every[mine[0]][0], every[mine[-1]][1]
    table = placed((whole.table.at(slice(*every[block])) for block in mine), high - low, low)
    split = Split(Shard(table, whole.most, first=mine[0], count=whole.rows, channel=channel), whole.digest, State())
    return objective._with(blocks=split, calibration=split)


def _about(objective: EmpiricalRisk, rows: str) -> Message:
    return {
        "parameters": objective.space.fingerprint + objective.space.digest(objective.initial.theta),
        "rows": rows,
        "buffers": digest(objective.network.buffers),
    }


def _difference(mine: Message, other: Message) -> str:
    return next((key for key, value in mine.items() if other[key] != value), "")
