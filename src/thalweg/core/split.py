"""One objective per point of a batch, such as a minibatch of its own for each of B networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.errors import InputError
from thalweg.records import Fingerprint


class PerPoint(Objective):
    """Point b of a batch is evaluated by objective b; all share one space."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        first = self.objectives[0]
        self.space, self.initial, self.metrics = first.space, first.initial, first.metrics
        self.row_count, self.tolerance = first.row_count, first.tolerance

    def _pairs(self, thetas: Tensor) -> list[tuple[Objective, Tensor]]:
        if len(thetas) != len(self.objectives):
            raise InputError(f"{len(thetas)} points for {len(self.objectives)} sets of rows: give one set per point")
        return [(o, thetas[b : b + 1]) for b, o in enumerate(self.objectives)]

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """Each point by its own objective; float64 [B]."""
        found = [o.evaluate(theta, metrics) for o, theta in self._pairs(thetas)]
        return {name: torch.cat([values[name] for values in found]) for name in found[0]}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Each point by its own objective; float64 [B] and [B, P]."""
        found = [o.value_and_grad(theta) for o, theta in self._pairs(thetas)]
        return torch.cat([v for v, _ in found]), torch.cat([g for _, g in found])

    def linearized(self, thetas: Tensor) -> Linearization:
        """Refused: products are taken on a fixed batch shared by the points."""
        raise InputError("products with one set of rows per point are not offered: use rows(index [n])")

    def scalar(self, theta: Tensor) -> Tensor:
        """Refused: which rows a single point sees is not defined."""
        raise InputError("a single point has no set of rows here: use rows(index [n])")

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> PerPoint:
        """Every objective moved."""
        return PerPoint([o.to(dtype, device) for o in self.objectives])

    def fingerprint(self) -> Fingerprint:
        """That of the first objective."""
        return self.objectives[0].fingerprint()
