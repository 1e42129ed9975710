"""An objective with another field in place of its gradient: what makes any rule follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.records import Fingerprint

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""thetas [B, P] -> values float64 [B] and what a rule takes for the gradient there [B, P]."""


@final
class Steered(Objective):
    """The objective, whose ``value_and_grad`` is ``field``: forces on a band, or the gradient by a curve's knots.

    A descent on it is the search that the field describes, by every rule that asks for gradients alone.
    """

    def __init__(self, objective: Objective, field: Field) -> None:
        self.objective, self.field = objective, field
        self.space, self.initial = objective.space, objective.initial
        self.row_count, self.facts, self.metrics = objective.row_count, objective.facts, objective.metrics
        self.tolerance = objective.tolerance

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """As the objective."""
        return self.objective.evaluate(thetas, metrics)

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """The field's."""
        return self.field(thetas)

    def linearized(self, thetas: Tensor) -> Linearization:
        """Products of the objective's own Hessian, which is not the field's derivative."""
        return self.objective.linearized(thetas)

    def scalar(self, theta: Tensor) -> Tensor:
        """As the objective."""
        return self.objective.scalar(theta)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Steered:
        """The objective moved, with the same field."""
        return Steered(self.objective.to(dtype, device), self.field)

    def fingerprint(self) -> Fingerprint:
        """As the objective."""
        return self.objective.fingerprint()
