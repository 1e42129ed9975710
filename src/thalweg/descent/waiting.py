"""An objective for a batch of which some points have ended: they stand still and cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.records import Fingerprint


@final
class Waiting(Objective):
    """A batch [B, P] evaluated at the points ``running`` [r] alone, of which ``objective`` is.

    The others are given a zero gradient, zero products, and the ``known`` values [B] that were last seen there. Batches
    of another size, such as the points of a curve, are evaluated whole; and so are metrics.
    """

    def __init__(self, objective: Objective, running: Tensor, known: Tensor) -> None:
        self.objective, self.running, self.known = objective, running, known
        self.space, self.initial = objective.space, objective.initial
        self.row_count, self.facts, self.metrics = objective.row_count, objective.facts, objective.metrics
        self.tolerance = objective.tolerance

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """As the objective, where points run."""
        if len(thetas) != len(self.known):
            return self.objective.value_and_grad(thetas)
        losses, gradients = self.known.clone(), torch.zeros_like(thetas)
        losses[self.running], gradients[self.running] = self.objective.value_and_grad(thetas[self.running])
        return losses, gradients

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """As the objective; without metrics, where points run."""
        if metrics or len(thetas) != len(self.known):
            return self.objective.evaluate(thetas, metrics)
        losses = self.known.clone()
        losses[self.running] = self.objective.losses(thetas[self.running])
        return {"loss": losses}

    def linearized(self, thetas: Tensor) -> Linearization:
        """As the objective, where points run."""
        if len(thetas) != len(self.known):
            return self.objective.linearized(thetas)
        return _Part(self.objective.linearized(thetas[self.running]), self.running, thetas)

    def rows(self, index: Tensor) -> Objective:
        """Some of the rows, or some for each point; where points run."""
        mine = index[self.running.to(index.device)] if index.ndim == 2 else index
        if index.ndim == 2 and len(mine) == 1:
            mine = mine[0]
        return Waiting(self.objective.rows(mine), self.running, self.known)

    def scalar(self, theta: Tensor) -> Tensor:
        """As the objective."""
        return self.objective.scalar(theta)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Waiting:
        """The objective moved."""
        return Waiting(self.objective.to(dtype, device), self.running.to(device), self.known.to(device))

    def fingerprint(self) -> Fingerprint:
        """As the objective."""
        return self.objective.fingerprint()


@final
class _Part(Linearization):
    """Products at the points ``running`` of thetas [B, P]; zero at the others."""

    def __init__(self, inner: Linearization, running: Tensor, thetas: Tensor) -> None:
        super().__init__([], thetas)
        self._inner, self._running = inner, running

    def close(self) -> None:
        """Free every kept graph."""
        self._inner.close()

    @property
    def kept_bytes(self) -> int:
        """Bytes of graphs now held."""
        return self._inner.kept_bytes

    def hvp(self, vectors: Tensor) -> Tensor:
        """Hessian products: [B, k, P] -> [B, k, P]."""
        return self._spread(self._inner.hvp, vectors)

    def ggn(self, vectors: Tensor) -> Tensor:
        """Gauss–Newton products: [B, k, P] -> [B, k, P]."""
        return self._spread(self._inner.ggn, vectors)

    def fisher(self, vectors: Tensor) -> Tensor:
        """Products with the empirical Fisher matrix: [B, k, P] -> [B, k, P]."""
        return self._spread(self._inner.fisher, vectors)

    def _spread(self, products: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
        found = products(vectors[self._running])
        return torch.zeros(vectors.shape, dtype=found.dtype, device=found.device).index_copy_(0, self._running, found)
