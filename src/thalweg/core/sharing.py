"""Rows held by several processes: the first asks, the others evaluate the same over their own rows, the sums meet.

The first process alone runs the method, so it alone decides: no branch, no clock and no random number of another can
differ from its own. What it asks for is said in plain values and tensors.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thalweg.core.channel import Channel, Message, heard
from thalweg.core.data import Table
from thalweg.core.products import Linearization, Term
from thalweg.core.rows import RowBlocks, bounds
from thalweg.core.shard import Shard
from thalweg.core.space import Point
from thalweg.core.statistics import POLICIES, Freeze, Interpolate, Statistics
from thalweg.core.subspace import Located
from thalweg.core.tree import tree_map
from thalweg.errors import InputError, StoreError

if TYPE_CHECKING:
    from thalweg.core.parts import Parts


class Split(RowBlocks):
    """The blocks of all processes. Those held here are ``here``; what needs a row held elsewhere is refused."""

    def __init__(self, here: Shard, digest: str, state: State) -> None:
        object.__setattr__(self, "_here", here)
        object.__setattr__(self, "most", here.most)
        object.__setattr__(self, "_digest", digest)
        object.__setattr__(self, "state", state)

    _here: Shard
    _digest: str
    state: State

    @property
    def here(self) -> Shard:
        """The blocks that this process evaluates."""
        return self._here

    @property
    def table(self) -> Table:
        """Refused: other processes hold rows as well."""
        raise InputError(f"this needs all {self.rows:,} rows in one process: use --split points")

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First and last-plus-one row of each block."""
        return bounds(self.rows, self.most)

    @property
    def rows(self) -> int:
        """The number of rows of all processes."""
        return self._here.count

    @property
    def digest(self) -> str:
        """A digest of every row of all processes."""
        return self._digest

    def __len__(self) -> int:
        return len(self.bounds)

    def __iter__(self) -> Iterator[Table]:
        return iter([self.table])

    def add(self, parts: Iterable[Tensor]) -> Tensor:
        """Refused as :attr:`table` is: nobody was asked for the others' parts."""
        raise AssertionError(self.table)

    def of(self, table: Table) -> RowBlocks:
        """Other rows, which are all here."""
        return RowBlocks(table, self.most)

    def to(self, dtype: torch.dtype, device: torch.device) -> Split:
        """The rows held here in another dtype or on another device."""
        return Split(self._here.to(dtype, device), self._digest, self.state)

    @contextmanager
    def asked(self, message: Message) -> Iterator[None]:
        """While inside, the other processes do what the message says over their rows."""
        self.state.ask(self.here.channel, message)
        try:
            yield
        except BaseException:
            self.state.broken = True  # what the others have sent since is of no use any more
            raise

    def fetched(self, index: Tensor) -> Table:
        """The rows of an index [n] brought here, in its order.

        Raises
        ------
        InputError
            If a number is none of a row.
        """
        index = index.cpu()
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < self.rows:
            raise InputError(f"row {int(index.max())} of {self.rows:,}: give numbers from 0 to {self.rows - 1:,}")
        mine, channel = self.here, self.here.channel
        with self.asked({"what": "rows", "index": index, "view": {"dtype": mine.dtype}}):
            found = [mine.picked(index), *(heard(channel, rank)["rows"] for rank in range(1, channel.size))]
        names = [iter(held) for _, held in found]
        order = torch.cat([positions for positions, _ in found]).argsort()

        def joined(like: Tensor) -> Tensor:
            return torch.cat([next(rows).to(like) for rows in names])[order.to(like.device)]

        inputs, targets = tree_map(joined, mine.table.inputs), tree_map(joined, mine.table.targets)
        return Table(inputs, targets, len(index))


class State:
    """What the others know: subspaces and linearisations by number, and whether they can still be asked."""

    def __init__(self) -> None:
        self.broken = False
        self._made = 0
        self._dropped: list[int] = []

    def number(self, of: Any) -> int:
        """A new number for what the others keep as long as ``of`` lives here."""
        self._made += 1
        weakref.finalize(of, self._dropped.append, self._made).atexit = False
        return self._made

    def ask(self, channel: Channel, message: Message) -> None:
        """Tell the others, and what they may forget."""
        if self.broken:
            raise StoreError("the processes that hold other rows stopped at an earlier failure: start again")
        dropped, self._dropped[:] = list(self._dropped), []
        packed = {"dropped": dropped, **{key: self._packed(value) for key, value in message.items()}}
        channel.tell(packed)

    def _packed(self, value: Any) -> Any:
        if isinstance(value, Located):
            subspace, made = value.subspace, None
            if "shared" not in subspace.kept:
                subspace.kept["shared"] = self.number(subspace)
                made = (subspace.theta0, subspace.directions.dense())
            return {"subspace": subspace.kept["shared"], "made": made, "coefficients": value.coefficients}
        if isinstance(value, Statistics):
            return _packed_policy(value)
        if isinstance(value, torch.dtype):
            return str(value).removeprefix("torch.")
        if isinstance(value, Mapping):
            return {key: self._packed(x) for key, x in value.items()}
        return value


def _packed_policy(policy: Statistics) -> Message:
    found: Message = {"name": policy.name}
    if isinstance(policy, Freeze):
        found |= {"values": None if policy.values is None else dict(policy.values), "of": policy.of}
    if isinstance(policy, Interpolate):
        found["points"] = [(p.theta, dict(p.statistics or {}), p.name) for p in (policy.first, policy.second)]
    return found


def policy_of(message: Message) -> Statistics:
    """The policy that was packed."""
    if message["name"] == Freeze.name:
        return Freeze(message["values"], message["of"])
    if message["name"] == Interpolate.name:
        return Interpolate(*(Point(theta, statistics, name) for theta, statistics, name in message["points"]))
    made: Callable[[], Statistics] = POLICIES[message["name"]]
    return made()


class Shared(Linearization):
    """Products to which every process adds those of its rows."""

    def __init__(self, parts: Parts, terms: Sequence[Term], thetas: Tensor, *, shared: Term | None) -> None:
        self._parts, self._split = parts, parts.blocks
        assert isinstance(self._split, Split)
        super().__init__(terms, thetas, add=self._split.here.add, shared=shared)
        self._number = self._split.state.number(self)
        with parts.asked("linearized", number=self._number, points=self.thetas, z=parts.z):
            pass

    def _products(self, vectors: Tensor, kind: str) -> Tensor:
        self._check(vectors)
        with self._parts.asked("products", number=self._number, vectors=vectors, kind=kind):
            return super()._products(vectors, kind)
