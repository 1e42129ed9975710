"""How far to go along a direction: the longest of 1, 1/2, 1/4, … at which F falls enough."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.objective import Objective

HALVINGS = 40
"""Step lengths that are tried before a point is left where it is."""


def lowered(
    objective: Objective, theta: Tensor, step: Tensor, loss: Tensor, slope: Tensor, decrease: float = 1e-4
) -> tuple[Tensor, Tensor]:
    """θ + αs with the largest α of 1, 1/2, … at which F falls by α·decrease·|slope|; θ where none does. [B, P].

    The second answer is how many values of F each point took, float64 [B]. ``slope`` [B] = s·∇F is not positive (Armijo
    1966). Values are compared up to the objective's own rounding.
    """
    step = step.to(theta.dtype)
    rounding = objective.tolerance * loss.abs()
    found, open_ = theta.clone(), torch.arange(len(theta), device=theta.device)
    taken = torch.zeros(len(theta), dtype=torch.float64, device=theta.device)
    alpha = 1.0
    for _ in range(HALVINGS):
        tried = objective.retract(theta[open_] + alpha * step[open_])
        taken[open_] += 1
        fell = objective.losses(tried) <= (loss + decrease * alpha * slope.clamp(max=0) + rounding)[open_]
        found[open_[fell]] = tried[fell]
        open_ = open_[~fell]
        if not len(open_):
            break
        alpha /= 2
    return found, taken
