"""Negative-curvature descent: gradient steps, and where the gradient is small a step along negative curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.descent import spectral
from thalweg.descent.rule import Info, Rule, State, positive
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
    rng: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "lipschitz", "tolerance"):
            positive(name, getattr(self, name))
        if self.rank < 2:
            raise InputError(f"rank={self.rank}: Lanczos takes at least 2 products")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The number of each point, by which it draws."""
        return State(theta, {"point": spectral.numbered(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and ``rank`` products at the points where it is small."""
        loss, gradient = objective.value_and_grad(state.theta)
        theta = state.theta - self.lr * gradient
        small = (gradient.double().norm(dim=1) <= self.tolerance).nonzero()[:, 0]
        if len(small):
            here, g = state.theta[small], gradient[small].double()
            rng = Stream(self.rng, ("negative_curvature",))
            random = spectral.probes(rng, state.slots["point"][small, 0], state.count, theta.shape[1])
            with objective.linearized(here) as linear:
                pairs = spectral.ritz(linear, random[:, None], self.rank)
            value, vector = pairs.values[:, 0], pairs.vectors[:, 0]
            step = along_curvature(value, vector, g, random, self.lipschitz)
            found = (value <= -self.curvature / 2)[:, None]
            theta[small] = torch.where(found, here + step.to(here), theta[small])
        return State(theta, dict(state.slots), state.count + 1), Info(loss, gradient)


def along_curvature(value: Tensor, vector: Tensor, gradient: Tensor, random: Tensor, lipschitz: float) -> Tensor:
    """±(2|value|/ρ)·vector against the gradient, and with the sign of a random vector where that has none. [B, P]."""
    slope = (vector * gradient).sum(1)
    sign = -torch.where(slope != 0, slope, (vector * random).sum(1)).sign()
    return (sign * 2 * value.abs() / lipschitz)[:, None] * vector
