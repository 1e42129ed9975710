"""The noise of minibatches from the rows themselves: every row's gradient and Hessian product, and their spread."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.metered import Metered

STEP = 1e-6
"""Length of the difference that a row's product is taken by; the unit roundoff over it is 1e-10."""


def row_gradients(objective: Metered, theta: Tensor) -> Tensor:
    """The gradient of every row's loss at theta [P], [n, P]; all are held at once."""
    count = objective.row_count
    return objective.rows(torch.arange(count)[:, None]).value_and_grad(theta.expand(count, -1))[1]


def row_products(objective: Metered, theta: Tensor, direction: Tensor) -> Tensor:
    """Every row's Hessian at theta [P] times direction/‖direction‖ [P], by central differences, [n, P]."""
    along = STEP * direction / direction.norm()
    return (row_gradients(objective, theta + along) - row_gradients(objective, theta - along)) / (2 * STEP)


def relative_noise(each: Tensor) -> float:
    """The constant c of E‖mean of B rows − mean‖²/‖mean‖² = c/B, rows drawn independently, for their values [n, P].

    c = Σ‖g_i‖²/(n‖g‖²) − 1 exactly, so that c/ε² rows are what a relative error ε takes.
    """
    return float(each.square().sum(1).mean() / each.mean(0).square().sum() - 1)


def row_covariance(each: Tensor) -> Tensor:
    """The covariance of the rows' values [n, P], [P, P]; its rank is at most n − 1."""
    apart = each - each.mean(0)
    return apart.T @ apart / len(each)
