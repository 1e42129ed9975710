"""What a backend is: it sums loss and metrics over all rows at each of many points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.core.data import Table
from thalweg.core.loss import RowLoss
from thalweg.core.network import Network
from thalweg.core.rows import RowBlocks
from thalweg.core.space import ParameterSpace
from thalweg.core.subspace import Located
from thalweg.core.tree import Tree, leaves, tree_map
from thalweg.errors import SubjectError

Buffers = Mapping[str, Tensor] | None
Sums = Callable[[Mapping[str, Tensor], Buffers, Table], Tensor]
"""sums(named parameters, buffers, block) -> the block's sums of loss and metrics, float64 [q]."""

Points = Tensor | Located
"""Points [B, P], or points of a subspace that need not be formed."""


@dataclass(frozen=True)
class Work:
    """What a backend needs: the network and its loss, how parameters and buffers are had, and the rows.

    ``paired`` gives each point rows of its own: the second axis of every tensor of a block is then the point.
    """

    space: ParameterSpace
    network: Network
    loss: RowLoss
    metrics: Mapping[str, Callable[[Tree, Tree], Tensor]]
    blocks: RowBlocks
    buffers: Callable[[Mapping[str, Tensor] | None], Buffers]
    shared_buffers: bool
    paired: bool = False

    def sums(self, named: Mapping[str, Tensor], buffers: Buffers, block: Table) -> Tensor:
        """Loss and metric sums over one block, float64 [q]."""
        outputs = self.network(named, buffers, block.inputs)
        values = [
            self.loss.sum(outputs, block.targets),
            *(fn(outputs, block.targets).sum() for fn in self.metrics.values()),
        ]
        return torch.stack([v.to(torch.float64) for v in values])


def of_points(work: Work, block: Table, which: int | slice) -> Table:
    """The rows that a point, or a chunk of points, sees of a block."""
    if not work.paired:
        return block
    picked = [tree_map(lambda x: x[:, which], tree) for tree in (block.inputs, block.targets)]
    return Table(picked[0], picked[1], block.count)


def over_points(work: Work, fn: Callable[[Tensor, Table], Tensor], thetas: Tensor, block: Table) -> Tensor:
    """``fn(theta, rows)`` at every point by vmap."""
    if not work.paired:
        return torch.func.vmap(lambda theta: fn(theta, block))(thetas)
    tensors = [x for _, x in (*leaves(block.inputs), *leaves(block.targets))]

    def at_one_point(theta: Tensor, *own: Tensor) -> Tensor:
        given = iter(own)
        inputs = tree_map(lambda _: next(given), block.inputs)
        return fn(theta, Table(inputs, tree_map(lambda _: next(given), block.targets), block.count))

    return torch.func.vmap(at_one_point, in_dims=(0, *(1 for _ in tensors)))(thetas, *tensors)


class Backend(ABC):
    """Base: sums over all rows at each point. ``options`` are what a trial measured, as JSON values."""

    name: ClassVar[str]

    @property
    def options(self) -> dict[str, Any]:
        """What must stay the same for values to come out the same bit for bit."""
        return {}

    @abstractmethod
    def totals(self, work: Work, points: Points) -> Tensor:
        """Loss and metric sums over all rows, float64 [B, q]."""

    @abstractmethod
    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """The loss sum over all rows, float64 [B], and its gradient, float64 [B, P]."""


def formed(points: Points) -> Tensor:
    """The points themselves, [B, P]."""
    return points if isinstance(points, Tensor) else points.thetas()


def gradient_of(value: Tensor, leaf: Tensor) -> Tensor:
    """The gradient, zero where nothing depends on ``leaf``.

    Raises
    ------
    SubjectError
        If a tensor that the derivative needs was written over.
    """
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    try:
        return torch.autograd.grad(value, leaf, materialize_grads=True)[0]
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise SubjectError(
            f"forward writes over a tensor that its derivative needs ({_overwritten(error)}): "
            "write h = h + 1 instead of h += 1, or leave inplace=True out"
        ) from error


def _overwritten(error: RuntimeError) -> str:
    """Which operation's output was written over, as torch says it."""
    return str(error).partition("which is ")[2].partition(",")[0] or "in place"
