"""The points of a batch that still run, for rules whose work at a point depends on the point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import State
from thalweg.descent.waiting import Waiting


@dataclass(frozen=True)
class Awake:
    """The objective of the r points ``which`` [r] of a batch of B that run, with theta, gradient and noise there.

    ``gradient`` [r, P] and ``noise`` [r, P], standard normal and new in every step, are float64.
    """

    objective: Objective
    which: Tensor
    theta: Tensor
    loss: Tensor
    gradient: Tensor
    noise: Tensor

    def spread(self, batch: Tensor, part: Tensor) -> Tensor:
        """The batch [B, …] with the rows of these points, part [r, …], put in."""
        return batch.index_copy(0, self.which, part.to(batch))

    def counted(self, loss: Tensor, part: Tensor | float) -> Tensor:
        """What each point of the batch of ``loss`` [B] spent, float64 [B], from [r] or one number for all that run."""
        given = torch.as_tensor(part, dtype=torch.float64, device=loss.device).expand(len(self.which))
        return self.spread(torch.zeros_like(loss), given)


def awake(objective: Objective, state: State, loss: Tensor, gradient: Tensor, name: str) -> Awake:
    """The points that run, by the objective that the loop gave; loss [B] and gradient [B, P] are those of the step."""
    which = torch.arange(len(state.theta), device=state.theta.device)
    inner = objective
    if isinstance(objective, Waiting):
        inner, which = objective.objective, objective.running
    noise = state.draws.normal(state.theta.double(), state.count, name)
    return Awake(inner, which, state.theta[which], loss[which], gradient[which].double(), noise[which])


def resting(points: Awake, tolerance: float) -> Awake:
    """Those of the points whose gradient is no longer than ``tolerance``."""
    small = (points.gradient.norm(dim=1) <= tolerance).nonzero()[:, 0]
    parts = (points.which, points.theta, points.loss, points.gradient, points.noise)
    return Awake(points.objective, *(part[small] for part in parts))
