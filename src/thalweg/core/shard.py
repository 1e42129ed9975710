"""The row blocks that one of several processes holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from thalweg.core.channel import Channel, heard
from thalweg.core.data import Table
from thalweg.core.rows import Node, RowBlocks, bounds, summed
from thalweg.core.tree import leaves, tree_map

LINE = 64
"""Bytes of a cache line, and what torch aligns a tensor to: vectorised loops round by where in a line they begin."""


def placed(parts: Iterable[Table], count: int, low: int) -> Table:
    """A copy of ``count`` rows that lies in memory as it would from row ``low`` of all rows on: nothing rounds anew.

    The rows come in parts that follow each other; of streamed rows one part is held beside the copy.
    """

    def room(x: Tensor) -> Tensor:
        each = x[:1].numel()
        skipped = low * each * x.element_size() % LINE // x.element_size()
        return x.new_empty(skipped + count * each)[skipped:].reshape(count, *x.shape[1:])

    made: Table | None = None
    at = 0
    for part in parts:
        made = made or Table(tree_map(room, part.inputs), tree_map(room, part.targets), count)
        for into, rows in zip(_tensors(made), _tensors(part), strict=True):
            into[at : at + part.count] = rows
        at += part.count
    assert made is not None and at == count
    return made


def _tensors(table: Table) -> list[Tensor]:
    return [x for tree in (table.inputs, table.targets) for _, x in leaves(tree)]


def share_of(blocks: int, rank: int, size: int) -> range:
    """The neighbouring blocks that a process holds; one too many for them repeats the last and adds nothing."""
    if rank >= blocks:
        return range(blocks - 1, blocks)
    size = min(size, blocks)
    return range(blocks * rank // size, blocks * (rank + 1) // size)


@dataclass(frozen=True, kw_only=True)
class Shard(RowBlocks):
    """The blocks that this process holds, ``first`` being the number of the first, of ``count`` rows in all."""

    first: int
    count: int
    channel: Channel

    @cached_property
    def low(self) -> int:
        """The number of the first row held here."""
        return bounds(self.count, self.most)[self.first][0]

    @property
    def idle(self) -> bool:
        """Whether there are too few blocks for this process."""
        return self.channel.rank >= len(bounds(self.count, self.most))

    @property
    def dtype(self) -> torch.dtype | None:
        """Of the floating rows; None where all are integers."""
        return next((x.dtype for x in _tensors(self.table) if x.is_floating_point()), None)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First and last-plus-one row of each block held here, counted from the first row held here."""
        every = bounds(self.count, self.most)[self.first :]
        return [(a - self.low, b - self.low) for a, b in every if b - self.low <= self.table.count]

    def add(self, parts: Iterable[Tensor]) -> Tensor:
        """The sum over the rows of all processes in the first one; the others send it what they have."""
        tree, channel = summed(parts, self.first), self.channel
        if channel.rank:
            nodes = [] if self.idle else tree.nodes
            channel.send({"nodes": [(n.level, n.index, n.total) for n in nodes]})
            return tree.nodes[-1].total  # of its shape; nobody reads it
        device = tree.nodes[0].total.device
        for rank in range(1, channel.size):
            for level, index, total in heard(channel, rank)["nodes"]:
                tree.put(Node(level, index, total.to(device)))
        return tree.total

    def picked(self, index: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Which positions of an index [n] are rows held here, and those rows of every tensor."""
        here = (index >= self.low) & (index < self.low + self.table.count) & (not self.idle)
        rows = self.table.at(index[here] - self.low)
        return here.nonzero().flatten(), _tensors(rows)

    def to(self, dtype: torch.dtype, device: torch.device) -> Shard:
        """The rows in another dtype or on another device."""
        return replace(self, table=placed([self.table.to(dtype, device)], self.table.count, self.low))
