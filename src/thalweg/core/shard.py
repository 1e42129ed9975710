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


def placed(table: Table, low: int) -> Table:
    """A copy of rows that lies in memory as it would from row ``low`` of all rows on, so that nothing rounds anew."""

    def copy(x: Tensor) -> Tensor:
        skipped = low * (x[:1].numel() * x.element_size()) % LINE // x.element_size()
        return x.new_empty(skipped + x.numel())[skipped:].reshape(x.shape).copy_(x)

    return Table(tree_map(copy, table.inputs), tree_map(copy, table.targets), table.count)


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
        tensors = [x for tree in (self.table.inputs, self.table.targets) for _, x in leaves(tree)]
        return next((x.dtype for x in tensors if x.is_floating_point()), None)

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
        return here.nonzero().flatten(), [x for tree in (rows.inputs, rows.targets) for _, x in leaves(tree)]

    def to(self, dtype: torch.dtype, device: torch.device) -> Shard:
        """The rows in another dtype or on another device."""
        return replace(self, table=placed(self.table.to(dtype, device), self.low))
