"""Fixed row blocks with float64 accumulation: the one place where sums over the data are made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from thalweg.core.data import Table

BLOCK_ROWS = 1024
"""Most rows in one block. Fixed by the data alone, never by memory or by how many points are evaluated."""


@dataclass(frozen=True)
class Node:
    """The float64 sum of the blocks index·2^level up to (index + 1)·2^level, or to the last one."""

    level: int
    index: int
    total: Tensor


@dataclass
class Pairwise:
    """Sums of blocks over a binary tree that the number of blocks alone decides (Higham 1993, pairwise summation).

    Blocks are put in order, from any one on; what is held at a time are the O(log n) nodes that cannot be joined yet.
    So processes that hold neighbouring blocks hand each other nodes, and the total is the same bit for bit however
    many there are.
    """

    nodes: list[Node] = field(default_factory=list)

    def put(self, node: Node) -> None:
        """Add the node that follows those already here, and join what belongs together."""
        self.nodes.append(node)
        while len(self.nodes) > 1:
            left, right = self.nodes[-2:]
            if left.level != right.level or left.index % 2 or right.index != left.index + 1:
                return
            self._join(left.level + 1, left.index // 2)

    @property
    def total(self) -> Tensor:
        """The sum of everything put, once the last block is."""
        while len(self.nodes) > 1:  # what is left has no sibling on its right
            self._join(self.nodes[-2].level + 1, self.nodes[-2].index // 2)
        return self.nodes[0].total

    def _join(self, level: int, index: int) -> None:
        right, left = self.nodes.pop(), self.nodes.pop()
        self.nodes.append(Node(level, index, left.total + right.total))


def summed(parts: Iterable[Tensor], first: int = 0) -> Pairwise:
    """The parts of blocks ``first``, first + 1, … on the tree, in float64."""
    tree = Pairwise()
    for i, part in enumerate(parts, first):
        tree.put(Node(0, i, part.to(torch.float64)))
    return tree


def pairwise(parts: Iterable[Tensor]) -> Tensor:
    """The float64 sum of the parts of all blocks, in their order."""
    return summed(parts).total


def bounds(rows: int, most: int) -> list[tuple[int, int]]:
    """First and last-plus-one row of each block of at most ``most`` rows; their sizes differ by at most one."""
    blocks = -(-rows // most)
    return list(itertools.pairwise(rows * i // blocks for i in range(blocks + 1)))


@dataclass(frozen=True)
class RowBlocks:
    """The rows in blocks whose sizes differ by at most one.

    Near-equal blocks avoid a last block of a single row, over which batch statistics have no variance. ``add`` is
    the only seam through which a sum over rows passes.
    """

    table: Table
    most: int = BLOCK_ROWS

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First and last-plus-one row of each block."""
        return bounds(self.table.count, self.most)

    @property
    def rows(self) -> int:
        """The number of rows, those of other processes with them."""
        return self.table.count

    @property
    def digest(self) -> str:
        """A digest of every row."""
        return self.table.digest

    @property
    def here(self) -> RowBlocks:
        """The blocks that this process evaluates."""
        return self

    def __len__(self) -> int:
        return len(self.bounds)

    def __iter__(self) -> Iterator[Table]:
        if len(self.bounds) == 1 and not self.table.streamed:
            yield self.table
            return
        for low, high in self.bounds:
            yield self.table.at(slice(low, high))

    def add(self, parts: Iterable[Tensor]) -> Tensor:
        """The float64 sum of what each block in order contributes, over all rows."""
        return pairwise(parts)

    def total(self, fn: Callable[[Table], Tensor]) -> Tensor:
        """The float64 sum of ``fn(block)``."""
        return self.add(fn(block) for block in self)

    def of(self, table: Table) -> RowBlocks:
        """Other rows, cut into blocks alike."""
        return replace(self, table=table)

    def to(self, dtype: torch.dtype, device: torch.device) -> RowBlocks:
        """The rows in another dtype or on another device."""
        return self.of(self.table.to(dtype, device))
