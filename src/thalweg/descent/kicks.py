"""What moves a point off a saddle: a small uniform kick, or one step along the gradient of a few rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import State, at_least, positive


class Kick(ABC):
    """A displacement of some points of a batch."""

    @abstractmethod
    def __call__(self, objective: Objective, state: State, which: Tensor) -> Tensor:
        """Displacements [B, P] of the points ``which`` [B]; those of the others are not looked at."""

    @abstractmethod
    def gradients(self, objective: Objective) -> float:
        """Gradients it takes at a point, as a share of the rows of ``objective``."""


@dataclass(frozen=True)
class Ball(Kick):
    """Uniform in the ball of this radius: radius·U^{1/P} times a uniform direction."""

    radius: float = 1e-3

    def __post_init__(self) -> None:
        positive("radius", self.radius)

    def __call__(self, objective: Objective, state: State, which: Tensor) -> Tensor:
        """One draw per point."""
        return self.radius * state.draws.ball(state.theta, state.count, which)

    def gradients(self, objective: Objective) -> float:
        """None."""
        return 0.0


@dataclass(frozen=True)
class RowStep(Kick):
    """One stochastic gradient step, −step·∇F over ``rows`` rows drawn anew (CNC-PGD, Daneshmand et al. 2018)."""

    step: float = 1e-3
    rows: int = 1

    def __post_init__(self) -> None:
        positive("step", self.step)
        at_least("rows", self.rows, 1)

    def __call__(self, objective: Objective, state: State, which: Tensor) -> Tensor:
        """One gradient over a few rows, for all points at once."""
        index = state.draws.integers(objective.row_count, self.rows, state.count)
        part = objective.rows(index if len(index) > 1 else index[0])
        _, gradient = part.value_and_grad(state.theta)
        return torch.where(which[:, None], -self.step * gradient, 0)

    def gradients(self, objective: Objective) -> float:
        """The share of the rows."""
        return self.rows / objective.row_count
