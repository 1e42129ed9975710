"""The affine subspace theta0 + c·D: planes, lines and path segments are all evaluated here."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from thalweg.core.directions import DENSE_BYTES, Directions
from thalweg.core.space import ParameterSpace

CHUNK_BYTES = 64 * 2**20
"""Points are formed a chunk at a time, so that a grid of any size needs no more than this for them."""


class Evaluable(Protocol):
    """What a subspace needs of an objective."""

    space: ParameterSpace

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F and every metric at thetas [B, P]."""


class Subspace:
    """F restricted to theta0 + c·D. ``losses(points(c))`` of the objective is the oracle of every backend."""

    def __init__(self, objective: Evaluable, theta0: Tensor, directions: Directions) -> None:
        self.objective = objective
        self.theta0 = objective.space.check(theta0)
        self.directions = directions
        small = directions.k * self.theta0.numel() * self.theta0.element_size() <= DENSE_BYTES
        self._rows = directions.dense().to(self.theta0) if small else None

    @property
    def k(self) -> int:
        """The number of coefficients."""
        return self.directions.k

    def points(self, coefficients: Tensor) -> Tensor:
        """theta0 + c·D for coefficients [B, k], as [B, P].

        Added direction by direction, elementwise: a matrix product would round a point differently
        depending on how many others it shares a call with.
        """
        c = coefficients.to(self.theta0)
        thetas = self.theta0.expand(len(c), -1).clone()
        for j in range(self.k):
            weight = c[:, j : j + 1]
            if self._rows is not None:
                thetas.addcmul_(weight, self._rows[j])
                continue
            for entry in self.objective.space.entries:
                part = self.directions.block(entry.name)[j].reshape(-1).to(thetas)
                thetas[:, entry.span].addcmul_(weight, part)
        return thetas

    def evaluate(self, coefficients: Tensor) -> dict[str, Tensor]:
        """F and every metric at coefficients [B, k]: {name: float64 [B]}."""
        size = max(1, CHUNK_BYTES // (self.theta0.numel() * self.theta0.element_size()))
        parts = [self.objective.evaluate(self.points(c)) for c in coefficients.split(size)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
