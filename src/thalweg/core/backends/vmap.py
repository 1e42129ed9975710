"""Points in chunks through torch.func.vmap."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend, Points, Work, formed, gradient_of, of_points, over_points
from thalweg.core.data import Table
from thalweg.core.quiet import differentiable_attention, unbatched_nodes

POINTS = 16
"""Points in one vmapped call: enough to amortise dispatch, few enough to stay in cache."""


class Vmap(Backend):
    """The user's module, batched by torch over its parameters."""

    name: ClassVar[str] = "vmap"

    def totals(self, work: Work, points: Points) -> Tensor:
        """Loss and metric sums, float64 [B, q]."""
        buffers = work.buffers(None)
        found = []
        with torch.no_grad(), unbatched_nodes():
            for i, part in enumerate(points.split(POINTS)):
                chunk, which = formed(part), slice(i * POINTS, i * POINTS + len(part))

                def sums(block: Table, chunk: Tensor = chunk, which: slice = which) -> Tensor:
                    def at(theta: Tensor, rows: Table) -> Tensor:
                        return work.sums(work.space.unravel(theta), buffers, rows)

                    return self._map(work, at, chunk, of_points(work, block, which))

                found.append(work.blocks.total(sums))
        return torch.cat(found)

    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss sums and gradients; the points' losses are added and differentiated together."""
        buffers = work.buffers(None)
        values, gradients = [], []
        for i, chunk in enumerate(thetas.split(POINTS)):
            leaf, which = chunk.detach().requires_grad_(), slice(i * POINTS, i * POINTS + len(chunk))

            def both(block: Table, leaf: Tensor = leaf, which: slice = which) -> Tensor:
                def at(theta: Tensor, rows: Table) -> Tensor:
                    return work.sums(work.space.unravel(theta), buffers, rows)[0]

                with torch.enable_grad(), unbatched_nodes(), differentiable_attention():
                    value = self._map(work, at, leaf, of_points(work, block, which))
                    gradient = gradient_of(value.sum(), leaf)
                return torch.cat([value.detach().unsqueeze(1), gradient.double()], dim=1)

            total = work.blocks.total(both)
            values.append(total[:, 0])
            gradients.append(total[:, 1:])
        return torch.cat(values), torch.cat(gradients)

    def _map(self, work: Work, fn: Callable[[Tensor, Table], Tensor], thetas: Tensor, block: Table) -> Tensor:
        return over_points(work, fn, thetas, block)
