"""The affine subspace theta0 + c·D: planes, lines and path segments are all evaluated here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.space import ParameterSpace

JOINED_BYTES = 64 * 2**20
"""A point and its directions up to this size are kept joined, as the layers of many points read them."""


class Evaluable(Protocol):
    """What a subspace needs of an objective."""

    space: ParameterSpace

    def along(self, points: Located) -> dict[str, Tensor]:
        """F and every metric at points of a subspace."""

    def road(self, subspace: Subspace) -> tuple[str, str]:
        """What evaluates F on a subspace, and why."""

    def obey(self, measured: Mapping[str, Any], subspace: Subspace) -> None:
        """Evaluate a subspace as was once measured best."""

    def measured(self, subspace: Subspace) -> dict[str, Any]:
        """How a subspace is evaluated, as JSON values; measured now if it was not yet."""


class Subspace:
    """F restricted to theta0 + c·D. ``losses(points(c))`` of the objective is the oracle of every backend.

    ``kept`` is where backends keep what they computed once for the whole subspace.
    """

    def __init__(self, objective: Evaluable, theta0: Tensor, directions: Directions) -> None:
        self.objective = objective
        self.theta0 = objective.space.check(theta0).detach()
        self.directions = directions
        self.kept: dict[Any, Any] = {}

    @property
    def k(self) -> int:
        """The number of coefficients."""
        return self.directions.k

    def points(self, coefficients: Tensor) -> Tensor:
        """theta0 + c·D for coefficients [B, k], as [B, P]."""
        c = coefficients.to(self.theta0)
        thetas = self.theta0.expand(len(c), -1).clone()
        for entry in self.objective.space.entries:
            which = self.touched.get(entry.name)
            if which is not None:
                thetas[:, entry.span] = self.named(entry.name, which, c).reshape(len(c), -1)
        return thetas

    def named(self, name: str, which: tuple[int, ...], coefficients: Tensor) -> Tensor:
        """One tensor of the points at coefficients [B, k], [B, *shape].

        Added direction by direction, elementwise: a matrix product would round a point differently
        depending on how many others it shares a call with.
        """
        c = coefficients.to(self.theta0)
        held = self._parts.get(name)
        if held is None:
            block = self.directions.block(name).to(self.theta0)
            first, parts = self.origin(name), [block[j] for j in which]
        else:
            first, *parts = held
        found = first.expand(len(c), *first.shape).clone()
        for j, part in zip(which, parts, strict=True):
            found.addcmul_(c[:, j].reshape(-1, *(1,) * part.ndim), part)
        return found

    def origin(self, name: str) -> Tensor:
        """One tensor of theta0."""
        entry = self.objective.space[name]
        return self.theta0[entry.span].reshape(entry.shape)

    def parts(self, name: str, which: tuple[int, ...]) -> Tensor:
        """One tensor of theta0 and of the directions ``which``, [1 + m, *shape]."""
        held = self._parts.get(name)  # what is not held is made anew for every use
        return self._joined(name, self.directions.block(name), which) if held is None else held

    def _joined(self, name: str, block: Tensor, which: tuple[int, ...]) -> Tensor:
        return torch.cat([self.origin(name).unsqueeze(0), block.to(self.theta0)[list(which)]])

    @property
    def small(self) -> bool:
        """Whether the point and the directions may be held a second time, joined tensor by tensor."""
        return (self.k + 1) * self.theta0.numel() * self.theta0.element_size() <= JOINED_BYTES

    @cached_property
    def touched(self) -> Mapping[str, tuple[int, ...]]:
        """For each tensor that some direction moves, which directions do."""
        found = {}
        for entry in self.objective.space.entries:
            block = self.directions.block(entry.name)
            moved = (block != 0).reshape(self.k, -1).any(1).tolist()
            which = tuple(j for j in range(self.k) if moved[j])
            if which:
                found[entry.name] = which
                if self.small:  # read by every chunk of points
                    self._parts[entry.name] = self._joined(entry.name, block, which)
        return found

    @cached_property
    def _parts(self) -> dict[str, Tensor]:
        return {}

    def evaluate(self, coefficients: Tensor) -> dict[str, Tensor]:
        """F and every metric at coefficients [B, k]: {name: float64 [B]}."""
        return self.objective.along(Located(self, coefficients.to(self.theta0.device)))

    @property
    def backend(self) -> tuple[str, str]:
        """What evaluates F here, and why."""
        return self.objective.road(self)

    def measured(self) -> dict[str, Any]:
        """How F is evaluated here, as JSON values that :meth:`obey` takes."""
        return self.objective.measured(self)

    def obey(self, measured: Mapping[str, Any]) -> None:
        """Evaluate as an earlier measurement says, so that values come out the same bit for bit."""
        self.objective.obey(measured, self)


@dataclass(frozen=True)
class Located:
    """Points of a subspace by their coefficients [B, k]; formed only where a backend needs them."""

    subspace: Subspace
    coefficients: Tensor

    def __len__(self) -> int:
        return len(self.coefficients)

    def thetas(self) -> Tensor:
        """The points, [B, P]."""
        return self.subspace.points(self.coefficients)

    def split(self, size: int) -> list[Located]:
        """The points in chunks."""
        return [Located(self.subspace, c) for c in self.coefficients.split(size)]
