"""Neon: negative curvature from differences of gradients, without a Hessian product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.awake import Awake, awake, resting
from thalweg.descent.negative_curvature import left
from thalweg.descent.rule import Info, Rule, Spent, State, positive
from thalweg.errors import InputError


@dataclass(frozen=True)
class Neon(Rule):
    """As :class:`NegativeCurvature`, the direction found by u ← u − η(∇F(θ + u) − ∇F(θ)) from a random u.

    That is power iteration on I − ηH, η = ``lr`` at most 1/L, so that the direction of a curvature −γ grows by
    1 + ηγ a step and the number of steps is about ln(d)/(ηγ) (Xu, Jin & Yang 2018; Allen-Zhu & Li 2018; the constants
    of both papers unverified). u is set back to length ``radius`` in every step, so that differences stay above
    rounding and below what third derivatives add. ``inner`` bounds the gradients of a search; it ends early where
    vᵀHv, from the same differences, is at most −``curvature``/2.

    Raises
    ------
    InputError
        If a number is not positive, or inner is below 1.
    """

    lr: float = 0.1
    curvature: float = 1e-2
    lipschitz: float = 10.0
    tolerance: float = 1e-3
    radius: float = 1e-4
    inner: int = 200

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "lipschitz", "tolerance", "radius"):
            positive(name, getattr(self, name))
        if self.inner < 1:
            raise InputError(f"inner={self.inner}: a search takes at least 1 gradient")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and up to ``inner`` more at the points where it is small."""
        loss, gradient = objective.value_and_grad(state.theta)
        theta, spent = state.theta - self.lr * gradient, Spent()
        here = resting(awake(objective, state, loss, gradient, "neon"), self.tolerance)
        if len(here.which):
            value, vector, taken = self._search(here)
            theta = left(theta, here, value, vector, self.curvature / 2, self.lipschitz)
            spent = Spent(gradients=1 + here.counted(loss, taken))
        return State(theta, {}, state.count + 1), Info(loss, gradient, spent)

    def _search(self, here: Awake) -> tuple[Tensor, Tensor, Tensor]:
        """vᵀHv [r] and v [r, P] of the last unit vectors, and how many gradients each point took [r]."""
        vector = torch.nn.functional.normalize(here.noise, dim=1)
        value = torch.full_like(here.loss, torch.inf)
        taken = torch.zeros_like(here.loss)
        open_ = torch.arange(len(value), device=value.device)
        for _ in range(self.inner):
            shifted = here.theta[open_] + self.radius * vector[open_].to(here.theta)
            difference = (here.objective.value_and_grad(shifted)[1].double() - here.gradient[open_]) / self.radius
            taken[open_] += 1
            value[open_] = (vector[open_] * difference).sum(1)
            going = value[open_] > -self.curvature / 2
            open_, difference = open_[going], difference[going]
            if not len(open_):
                break
            vector[open_] = torch.nn.functional.normalize(vector[open_] - self.lr * difference, dim=1)
        return value, vector, taken
