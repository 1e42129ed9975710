"""One point at a time: always there, and the oracle of every other backend."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend, Buffers, Points, Work, formed, gradient_of, of_points
from thalweg.core.data import Table

FORMED_BYTES = 64 * 2**20
"""Points of a subspace are formed as many at once as fit, and at least one: a large model's are as large as it is."""


class Loop(Backend):
    """A forward pass of the user's module for every row block and point."""

    name: ClassVar[str] = "loop"

    def totals(self, work: Work, points: Points) -> Tensor:
        """Loss and metric sums, float64 [B, q]; the row block is the outer loop, so that rows are read once."""
        with torch.no_grad():
            every: list[Buffers] = [work.buffers(None)] if work.shared_buffers else []
            if not every:
                every = [work.buffers(work.space.unravel(theta)) for theta in _each(work, points)]

            def sums(block: Table) -> Tensor:
                def at(i: int, theta: Tensor) -> Tensor:
                    return work.sums(work.space.unravel(theta), every[i % len(every)], of_points(work, block, i))

                # Not a loop: its variable would keep a point alive while the next one is formed.
                return torch.stack(list(map(at, itertools.count(), _each(work, points))))

            return work.blocks.total(sums)

    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss sums and gradients, a backward pass per row block."""
        values, gradients = [], []
        for i, theta in enumerate(thetas):
            leaf = theta.detach().requires_grad_()
            buffers = work.buffers(work.space.unravel(leaf.detach()))

            def both(block: Table, leaf: Tensor = leaf, buffers: Buffers = buffers, i: int = i) -> Tensor:
                with torch.enable_grad():
                    value = work.sums(work.space.unravel(leaf), buffers, of_points(work, block, i))[0]
                    gradient = gradient_of(value, leaf)
                return torch.cat([value.detach().reshape(1), gradient.double()])

            total = work.blocks.total(both)
            values.append(total[0])
            gradients.append(total[1:])
        return torch.stack(values), torch.stack(gradients)


def _each(work: Work, points: Points) -> Iterator[Tensor]:
    """The points one by one, formed a few at a time."""
    size = max(1, FORMED_BYTES // (work.space.size * work.space.dtype.itemsize))
    for chunk in points.split(size):
        yield from formed(chunk)
