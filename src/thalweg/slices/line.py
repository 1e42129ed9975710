"""F along a line: around one point, or between two (Goodfellow et al. 2015; Li et al. 2018)."""

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
from thalweg.records import Profile
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.given import Given, taken
from thalweg.slices.points import between
from thalweg.slices.random import RandomDirections
from thalweg.slices.rules import Biases, Norm, check


@dataclass(frozen=True)
class Line:
    """One point: a random direction over [−half_width, half_width]. Two points: t from 0 (first) to 1 (second).

    ``margin`` draws a segment beyond both of its ends by that share. ``directions`` replaces the random one: a vector,
    or a :class:`~thalweg.curvature.Lanczos`, whose first eigenvector it is (of length 1).
    ``fill`` is how the values are had: every point, :class:`Refine` or :class:`Sample`.

    Raises
    ------
    InputError
        If steps < 2, the range is empty, or more than two points are given.
    """

    steps: int = 51
    half_width: float = 1.0
    margin: float = 0.0
    norm: Norm = "filter"
    biases: Biases = "zero"
    directions: Given | None = None
    fill: Fill = field(default_factory=Dense)

    def __post_init__(self) -> None:
        grid.check_steps(self.steps)
        check(self.norm, self.biases)
        grid.axis(-self.half_width, self.half_width, self.steps)

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Profile:
        """Evaluate the profile."""
        if not 1 <= len(points) <= 2:
            raise InputError(f"a line was given {len(points)} points: give one, or two to join")
        if self.directions is not None and len(points) > 1:
            raise InputError(
                f"directions= and {len(points)} points were given: the points are the directions; drop one"
            )
        source = stream(rng)("line")
        given = tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))
        view = Metered(objective.at(*given), budget)
        if len(given) == 2:
            directions = between(view.space, given)
            coordinate = grid.axis(-self.margin, 1.0 + self.margin, self.steps)
            ends: list[float] = [0.0, 1.0]
        else:
            directions = self._around(view, given[0], source)
            coordinate = grid.axis(-self.half_width, self.half_width, self.steps)
            ends = [0.0]
        marks = tuple(grid.marked(view, p, (t,)) for p, t in zip(given, ends, strict=True))
        record = grid.evaluate_grid(
            self, view, given, grid.Grid(directions, (coordinate,), marks), source, evaluate or Inline()
        )
        assert isinstance(record, Profile)
        return record

    def _around(self, objective: Objective, point: Point, source: Stream) -> Directions:
        if self.directions is not None:
            return taken(objective, point, self.directions, 1, source)
        norm = None if objective.space.plain else self.norm  # a plain function has no filters to compare with
        return RandomDirections(objective.space, point.theta, 1, source, norm, self.biases)
