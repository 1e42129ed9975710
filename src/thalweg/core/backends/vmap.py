"""Points in chunks through torch.func.vmap."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend, Points, Work, formed, gradient_of
from thalweg.core.data import Table
from thalweg.core.quiet import unbatched_nodes

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
            for part in points.split(POINTS):
                chunk = formed(part)

                def over_points(block: Table, chunk: Tensor = chunk) -> Tensor:
                    return self._map(lambda t: work.sums(work.space.unravel(t), buffers, block), chunk)

                found.append(work.blocks.total(over_points))
        return torch.cat(found)

    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss sums and gradients; the points' losses are added and differentiated together."""
        buffers = work.buffers(None)
        values, gradients = [], []
        for chunk in thetas.split(POINTS):
            leaf = chunk.detach().requires_grad_()

            def both(block: Table, leaf: Tensor = leaf) -> Tensor:
                with torch.enable_grad(), unbatched_nodes():
                    value = self._map(lambda t: work.sums(work.space.unravel(t), buffers, block)[0], leaf)
                    gradient = gradient_of(value.sum(), leaf)
                return torch.cat([value.detach().unsqueeze(1), gradient.double()], dim=1)

            total = work.blocks.total(both)
            values.append(total[:, 0])
            gradients.append(total[:, 1:])
        return torch.cat(values), torch.cat(gradients)

    def _map(self, fn: Callable[[Tensor], Tensor], chunk: Tensor) -> Tensor:
        return torch.func.vmap(fn)(chunk)
