"""Curvature tested along random directions by second differences of F: no gradient of a gradient, no product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.awake import awake, resting
from thalweg.descent.negative_curvature import left
from thalweg.descent.rule import Info, Rule, Spent, State, positive


@dataclass(frozen=True)
class RandomCurvature(Rule):
    """A gradient step, and where ‖∇F‖ ≤ ``tolerance`` one test of (F(θ + hu) + F(θ − hu) − 2F(θ))/h² along a random u.

    Where the difference is below −``curvature`` the step is ±(2|difference|/ρ)u with ρ = ``lipschitz``. A SURROGATE: an
    algorithm of this kind by Das and Chaudhuri (2018) was not published, only described as Hessian-free with random
    directions, logarithmic in the number of positive eigenvalues and about linear in 1/|λ_min|; this is the plainest
    method that fits the first half of the description, and :func:`chance` shows that it does not fit the second.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    lr: float = 0.1
    curvature: float = 1e-3
    lipschitz: float = 10.0
    tolerance: float = 1e-3
    radius: float = 1e-3

    needs: ClassVar[frozenset[str]] = frozenset({"value", "gradient"})

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "lipschitz", "tolerance", "radius"):
            positive(name, getattr(self, name))

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and two values at the points where it is small."""
        loss, gradient = objective.value_and_grad(state.theta)
        theta, spent = state.theta - self.lr * gradient, Spent()
        here = resting(awake(objective, state, loss, gradient, "random_curvature"), self.tolerance)
        if len(here.which):
            unit = torch.nn.functional.normalize(here.noise, dim=1)
            reach = (self.radius * unit).to(here.theta)
            ahead, behind = (here.objective.losses(at) for at in (here.theta + reach, here.theta - reach))
            curvature = (ahead + behind - 2 * here.loss) / self.radius**2
            theta = left(theta, here, curvature, unit, self.curvature, self.lipschitz)
            spent = Spent(forwards=here.counted(loss, 2.0))
        return State(theta, {}, state.count + 1), Info(loss, gradient, spent)


def chance(positive_eigenvalues: int, ratio: float) -> float:
    """How often a uniform direction sees negative curvature with one eigenvalue −ratio among others all equal to 1.

    P(ratio·z₁² > z₂² + … + z²_{p+1}) = I_{r/(1+r)}(p/2, 1/2), the regularised incomplete beta function: it falls
    exponentially with p, so that the expected number of tests, its inverse, grows so.
    """
    return float(special.betainc(positive_eigenvalues / 2, 0.5, ratio / (1 + ratio)))
