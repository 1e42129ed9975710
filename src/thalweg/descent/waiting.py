"""An objective for a batch of which some points have ended: they stand still and cost nothing."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.records import Fingerprint


@final
class Waiting(Objective):
    """The gradient of a batch [B, P] at the points ``running`` [r] alone, of which ``objective`` is.

    The others are given a zero gradient and the ``known`` values [B] that were last seen there. Batches of another
    size, such as the points of a curve, are evaluated whole; and so are values and products.
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
        """As the objective."""
        return self.objective.evaluate(thetas, metrics)

    def linearized(self, thetas: Tensor) -> Linearization:
        """As the objective."""
        return self.objective.linearized(thetas)

    def scalar(self, theta: Tensor) -> Tensor:
        """As the objective."""
        return self.objective.scalar(theta)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Waiting:
        """The objective moved."""
        return Waiting(self.objective.to(dtype, device), self.running.to(device), self.known.to(device))

    def fingerprint(self) -> Fingerprint:
        """As the objective."""
        return self.objective.fingerprint()
