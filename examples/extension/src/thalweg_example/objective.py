"""A valley in closed form: its minima are a sphere, with a maximum in the middle."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization, Term
from thalweg.core.space import ParameterSpace, Point
from thalweg.records import Fingerprint


@final
class Ring(Objective):
    """F(x) = (|x|² − 1)²/4 on ``size`` coordinates; ∇F = (|x|² − 1)·x."""

    def __init__(self, size: int = 3) -> None:
        self.space = ParameterSpace.of_vector(size)
        self.initial = Point(self.space.check(torch.full((size,), 0.5)), None, "initial")

    def scalar(self, theta: Tensor) -> Tensor:
        """F at one point, as autograd sees it."""
        return (theta.square().sum(-1) - 1).square() / 4

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F of every row at once, float64 [B]."""
        return {"loss": self.scalar(self.space.check(thetas)).double()}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F and its gradient by the formula."""
        thetas = self.space.check(thetas)
        return self.scalar(thetas).double(), (thetas.square().sum(-1, keepdim=True) - 1) * thetas

    def linearized(self, thetas: Tensor) -> Linearization:
        """Hessian products through autograd."""
        return Linearization([Term(self.scalar)], self.space.check(thetas))

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Ring:
        """The same F in another dtype or on another device."""
        moved = copy.copy(self)
        moved.space = self.space.to(dtype, device)
        moved.initial = Point(moved.space.check(self.initial.theta), None, "initial")
        return moved

    def fingerprint(self) -> Fingerprint:
        """The shapes, and F at two fixed points."""
        thetas = torch.stack([torch.linspace(a, 1, self.space.size, dtype=torch.float64) for a in (-1, 0.3)])
        return Fingerprint(self.space.fingerprint, "", "", tuple(self.losses(thetas).tolist()))
