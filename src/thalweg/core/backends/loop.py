"""One point at a time: always there, and the oracle of every other backend."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend, Buffers, Points, Work, formed, gradient_of, of_points
from thalweg.core.data import Table

POINTS = 64
"""Points of a subspace that are formed at once."""


class Loop(Backend):
    """A forward pass of the user's module for every point and row block."""

    name: ClassVar[str] = "loop"

    def totals(self, work: Work, points: Points) -> Tensor:
        """Loss and metric sums, float64 [B, q]."""
        found: list[Tensor] = []
        with torch.no_grad():
            for chunk in points.split(POINTS):
                for theta in formed(chunk):
                    named = work.space.unravel(theta)
                    buffers = work.buffers(named)

                    def sums(
                        block: Table, named: Any = named, buffers: Buffers = buffers, i: int = len(found)
                    ) -> Tensor:
                        return work.sums(named, buffers, of_points(work, block, i))

                    found.append(work.blocks.total(sums))
        return torch.stack(found)

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
