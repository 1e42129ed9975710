"""Fixed row blocks with float64 accumulation: the one place where sums over the data are made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.data import Table

BLOCK_ROWS = 1024
"""Most rows in one block. Fixed by the data alone, never by memory or by how many points are evaluated."""


def identity(total: Tensor) -> Tensor:
    """The reduction of a single process."""
    return total


@dataclass(frozen=True)
class RowBlocks:
    """The rows in blocks whose sizes differ by at most one.

    Near-equal blocks avoid a last block of a single row, over which batch statistics have no variance.
    ``reduce`` adds a float64 total over processes that hold different rows; it is the only seam through
    which a sum over rows passes.
    """

    table: Table
    most: int = BLOCK_ROWS
    reduce: Callable[[Tensor], Tensor] = identity

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First and last-plus-one row of each block."""
        count, blocks = self.table.count, -(-self.table.count // self.most)
        cuts = [count * i // blocks for i in range(blocks + 1)]
        return list(itertools.pairwise(cuts))

    def __len__(self) -> int:
        return len(self.bounds)

    def __iter__(self) -> Iterator[Table]:
        if len(self.bounds) == 1:
            yield self.table
            return
        for low, high in self.bounds:
            yield self.table.at(slice(low, high))

    def total(self, fn: Callable[[Table], Tensor]) -> Tensor:
        """Sum of ``fn(block)`` over blocks in order, accumulated in float64, then reduced."""
        total: Tensor | None = None
        for block in self:
            part = fn(block).to(torch.float64)
            total = part if total is None else total + part
        assert total is not None  # a Table has at least one row, so there is at least one block
        return self.reduce(total)
