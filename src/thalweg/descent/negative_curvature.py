"""Negative-curvature descent: gradient steps, and where the gradient is small a step along negative curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import spectral
from thalweg.descent.awake import Awake, awake, resting
from thalweg.descent.rule import Info, Rule, Spent, State, positive
from thalweg.errors import InputError


@dataclass(frozen=True)
class NegativeCurvature(Rule):
    """A gradient step of ``lr`` where ‖∇F‖ > ``tolerance``; elsewhere a search for vᵀHv ≤ −``curvature``/2.

    The search is Lanczos with ``rank`` products from a random vector, new in every step. Where it finds such a v, the
    step is ±(2|vᵀHv|/ρ)v against the gradient, with ρ = ``lipschitz`` the Lipschitz constant of the Hessian: F falls by
    at least 2|vᵀHv|³/(3ρ²) (Carmon, Duchi, Hinder & Sidford 2018, Lemma 1 up to the choice of length). Where it finds
    none the gradient step is taken.

    Raises
    ------
    InputError
        If a number is not positive, or rank is below 2.
    """

    lr: float = 0.1
    curvature: float = 1e-2
    lipschitz: float = 10.0
    tolerance: float = 1e-3
    rank: int = 20

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "lipschitz", "tolerance"):
            positive(name, getattr(self, name))
        if self.rank < 2:
            raise InputError(f"rank={self.rank}: Lanczos takes at least 2 products")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and ``rank`` products at the points where it is small."""
        loss, gradient = objective.value_and_grad(state.theta)
        theta, spent = state.theta - self.lr * gradient, Spent()
        here = resting(awake(objective, state, loss, gradient, "negative_curvature"), self.tolerance)
        if len(here.which):
            with here.objective.linearized(here.theta) as linear:
                pairs = spectral.ritz(linear, here.noise[:, None], self.rank)
            theta = left(theta, here, pairs.values[:, 0], pairs.vectors[:, 0], self.curvature / 2, self.lipschitz)
            spent = Spent(products=here.counted(loss, min(self.rank, theta.shape[1])))
        return State(theta, {}, state.count + 1), Info(loss, gradient, spent)


def left(theta: Tensor, here: Awake, value: Tensor, vector: Tensor, curvature: float, lipschitz: float) -> Tensor:
    """Theta [B, P] with the step along ``vector`` [r, P] at the points where ``value`` [r] ≤ −curvature.

    ±(2|value|/ρ)·vector against the gradient, with the sign of the noise where that has none.
    """
    slope = (vector * here.gradient).sum(1)
    sign = -torch.where(slope != 0, slope, (vector * here.noise).sum(1)).sign()
    step = (sign * 2 * value.abs() / lipschitz)[:, None] * vector
    found = (value <= -curvature)[:, None]
    return here.spread(theta, torch.where(found, here.theta + step.to(here.theta), theta[here.which]))
