"""Finite-scale curvature: the change of the gradient over a distance h, per unit of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import probes
from thalweg.curvature.located import located
from thalweg.errors import InputError
from thalweg.records import FiniteScale as FiniteScaleRecord
from thalweg.records import FiniteScaleStatus


@dataclass(frozen=True)
class FiniteScale:
    """(∇F(θ + hv) − ∇F(θ))/h along ``count`` random unit vectors, or along ``directions`` [k, P], made unit.

    It is not a Hessian product: the distance ``h`` is part of what it says. Where F has kinks, as with ReLU, the
    Hessian is that of the piece at θ, and this is the curvature that a step of length h meets.

    Raises
    ------
    InputError
        If h is not positive and finite, count < 1, or a direction is zero or of another size.
    """

    h: float = 0.01
    count: int = 8
    directions: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 < self.h < float("inf") or self.count < 1:
            raise InputError(f"h={self.h}, count={self.count}: h must be positive and finite, count at least 1")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> FiniteScaleRecord:
        """Compute the quotients; one gradient per direction and one more."""
        here = located(objective, theta, "finite scale", rng, budget)
        space, counted = here.objective.space, here.objective
        vectors = self._directions(space.size, here.rng)
        start = counted.value_and_grad(here.theta[None])[1][0].to("cpu", torch.float64)
        changes = []
        for i, v in enumerate(vectors):
            moved = here.theta + (self.h * v).to(here.theta)
            step = (moved - here.theta).to("cpu", torch.float64).norm()  # h, as far as the dtype can move by it
            if float(step) == 0:
                raise InputError(f"h={self.h}: θ + hv is θ in {space.dtype}; take a larger h or float64")
            gradient = counted.value_and_grad(moved[None])[1][0].to("cpu", torch.float64)
            changes.append((gradient - start) / step)
            if evaluate is not None:
                evaluate.progress(i + 1, len(vectors))
        found = torch.stack(changes)
        finite = bool(found.isfinite().all())
        return FiniteScaleRecord(
            data={
                "directions": vectors.numpy(),
                "changes": found.numpy(),
                "curvatures": (found * vectors).sum(1).numpy(),
            },
            status=FiniteScaleStatus.COMPUTED if finite else FiniteScaleStatus.NONFINITE,
            **here.told(self),
            h=self.h,
            rounding=float(2 * torch.finfo(space.dtype).eps * start.norm() / self.h) if finite else float("nan"),
        )

    def _directions(self, size: int, rng: Stream) -> Tensor:
        if self.directions is None:
            return probes.sphere(size, self.count, rng)
        given = self.directions.detach().to("cpu", torch.float64)
        if given.ndim != 2 or given.shape[1] != size:
            raise InputError(f"directions have shape {list(given.shape)}: they must be [k, {size}]")
        norms = given.norm(dim=1, keepdim=True)
        if not bool((norms > 0).all()):
            raise InputError("a direction is zero: leave it out, or give another")
        return given / norms
