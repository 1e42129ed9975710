"""F along three directions around one point, for basins in space and for viewers of volumes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.records import Volume as VolumeRecord
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.given import Given, taken
from thalweg.slices.points import axes as coordinate_axes
from thalweg.slices.random import RandomDirections
from thalweg.slices.rules import Biases, Norm, check


@dataclass(frozen=True)
class Volume:
    """Three random directions over [−half_width, half_width]³; options as those of :class:`~thalweg.slices.Plane`.

    ``steps`` is the number of points along every direction, or one for each: 21 are 9,261 evaluations.
    ``directions`` replaces the random ones: vectors, or a :class:`~thalweg.curvature.Lanczos`, whose first three
    eigenvectors they are. A plain function is drawn over its first three variables.

    Raises
    ------
    InputError
        If steps < 2, they are neither one nor three, or the range is empty.
    """

    steps: int | tuple[int, int, int] = 21
    half_width: float = 1.0
    norm: Norm = "filter"
    biases: Biases = "zero"
    orthogonal: bool = True
    directions: Given | None = None
    fill: Fill = field(default_factory=Dense)

    def __post_init__(self) -> None:
        self._steps()
        check(self.norm, self.biases)
        grid.axis(-self.half_width, self.half_width, 2)

    def __call__(
        self,
        objective: Objective,
        point: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> VolumeRecord:
        """Evaluate the volume."""
        source = stream(rng)("volume")
        given = objective.point(point, "point 1")
        view = Metered(objective.at(given), budget)
        axes = tuple(grid.axis(-self.half_width, self.half_width, n) for n in self._steps())
        marks = (grid.marked(view, given, (0.0, 0.0, 0.0)),)
        found = grid.Grid(self._around(view, given, source), axes, marks)
        record = grid.evaluate_grid(self, view, (given,), found, source, evaluate or Inline())
        assert isinstance(record, VolumeRecord)
        return record

    def _steps(self) -> tuple[int, ...]:
        steps = (self.steps,) * 3 if isinstance(self.steps, int) else tuple(self.steps)
        if len(steps) != 3:
            raise InputError(
                f"steps={self.steps!r}: a volume takes one number, or one for each of its three directions"
            )
        for one in steps:
            grid.check_steps(one)
        return steps

    def _around(self, objective: Objective, point: Point, source: Stream) -> Directions:
        if self.directions is not None:
            return taken(objective, point, self.directions, 3, source)
        if objective.space.plain:
            return coordinate_axes(objective.space, 3)
        return RandomDirections(objective.space, point.theta, 3, source, self.norm, self.biases, self.orthogonal)
