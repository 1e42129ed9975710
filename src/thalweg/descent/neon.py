"""Neon: negative curvature from differences of gradients, without a Hessian product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.descent import spectral
from thalweg.descent.negative_curvature import along_curvature
from thalweg.descent.rule import Info, Rule, State, positive
from thalweg.errors import InputError


@dataclass(frozen=True)
class Neon(Rule):
    """As :class:`NegativeCurvature`, the direction found by u ← u − η(∇F(θ + u) − ∇F(θ)) from a random u.

    That is power iteration on I − ηH, η = ``smooth`` at most 1/L, so that the direction of a curvature −γ grows by
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
    smooth: float = 0.1
    radius: float = 1e-4
    inner: int = 200
    rng: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "lipschitz", "tolerance", "smooth", "radius"):
            positive(name, getattr(self, name))
        if self.inner < 1:
            raise InputError(f"inner={self.inner}: a search takes at least 1 gradient")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The number of each point, by which it draws."""
        return State(theta, {"point": spectral.numbered(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and up to ``inner`` more at the points where it is small."""
        loss, gradient = objective.value_and_grad(state.theta)
        theta = state.theta - self.lr * gradient
        small = (gradient.double().norm(dim=1) <= self.tolerance).nonzero()[:, 0]
        if len(small):
            here, g = state.theta[small], gradient[small]
            random = spectral.probes(
                Stream(self.rng, ("neon",)), state.slots["point"][small, 0], state.count, theta.shape[1]
            )
            value, vector = self._search(objective, here, g, random)
            step = along_curvature(value, vector, g.double(), random, self.lipschitz)
            found = (value <= -self.curvature / 2)[:, None]
            theta[small] = torch.where(found, here + step.to(here), theta[small])
        return State(theta, dict(state.slots), state.count + 1), Info(loss, gradient)

    def _search(self, objective: Objective, theta: Tensor, gradient: Tensor, random: Tensor) -> tuple[Tensor, Tensor]:
        """vᵀHv [B] and v [B, P] of the last unit vectors."""
        vector = torch.nn.functional.normalize(random, dim=1)
        value = torch.full_like(vector[:, 0], torch.inf)
        open_ = torch.arange(len(theta), device=theta.device)
        for _ in range(self.inner):
            shifted = theta[open_] + self.radius * vector[open_].to(theta)
            difference = (objective.value_and_grad(shifted)[1] - gradient[open_]).double() / self.radius
            value[open_] = (vector[open_] * difference).sum(1)
            open_, difference = _where(value[open_] > -self.curvature / 2, open_, difference)
            if not len(open_):
                break
            vector[open_] = torch.nn.functional.normalize(vector[open_] - self.smooth * difference, dim=1)
        return value, vector


def _where(which: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows for which it is true."""
    return tuple(tensor[which] for tensor in tensors)
