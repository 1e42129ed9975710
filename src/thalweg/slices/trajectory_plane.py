"""The plane that holds most of a trajectory, with the trajectory on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.records import Mark, Surface
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.pca import principal


@dataclass(frozen=True)
class TrajectoryPlane:
    """F over the two principal directions of a trajectory, centred at its last point.

    The range covers the projected trajectory and ``margin`` more on every side. The record's ``path`` is the
    projection, ``path_loss`` is F at the true points, ``path_distance`` how far they lie from the plane:
    where that is large, the surface under the path is not what training saw. ``fill`` as for a plane.

    Raises
    ------
    InputError
        If steps < 2 or the trajectory does not span two directions.
    """

    steps: int = 51
    margin: float = 0.2
    fill: Fill = field(default_factory=Dense)

    def __post_init__(self) -> None:
        grid.check_steps(self.steps)

    def __call__(
        self,
        objective: Objective,
        thetas: Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Surface:
        """Evaluate the surface of the trajectory thetas [T, P]."""
        path = objective.space.check(thetas)
        if path.ndim != 2 or len(path) < 3:
            raise InputError(f"a trajectory of shape {list(thetas.shape)} has no plane: give at least 3 points [T, P]")
        ends = (objective.point(path[-1], "end"), objective.point(path[0], "start"))
        view = Metered(objective.at(*ends), budget)
        directions = principal(view.space, path, path[-1])
        offsets = (path - path[-1]).double()
        rows = directions.dense().double()
        placed = offsets @ rows.T
        away = (offsets - placed @ rows).norm(dim=1)
        low, high = placed.amin(0), placed.amax(0)
        room = (high - low).clamp_min(float((high - low).max()) * 0.1) * self.margin
        axes = tuple(
            grid.axis(float(lo - r), float(hi + r), self.steps) for lo, hi, r in zip(low, high, room, strict=True)
        )
        losses = torch.cat([view.losses(theta[None]) for theta in path])
        marks = tuple(
            Mark(p.name, tuple(placed[i].tolist()), float(losses[i]), float(away[i]))
            for p, i in zip(ends, (-1, 0), strict=True)
        )
        extra = {"path": placed.numpy(), "path_loss": losses.cpu().numpy(), "path_distance": away.numpy()}
        record = grid.evaluate_grid(
            self,
            view,
            ends,
            grid.Grid(directions, axes, marks, extra),
            stream(rng)("trajectory plane"),
            evaluate or Inline(),
        )
        assert isinstance(record, Surface)
        return record
