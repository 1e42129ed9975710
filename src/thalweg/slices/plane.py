"""F over a plane: around one point, through two, or through three (Li et al. 2018; Garipov et al. 2018)."""

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
from thalweg.records import Surface
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.given import Given, taken
from thalweg.slices.points import axes as coordinate_axes
from thalweg.slices.points import between, segment_and_random
from thalweg.slices.random import RandomDirections
from thalweg.slices.rules import Biases, Norm, check


@dataclass(frozen=True)
class Plane:
    """One point: two random directions over [−half_width, half_width]², or points joined by the plane.

    Two points: the segment and a random direction orthogonal to it. Three points: the plane through them, at
    (0, 0), (1, 0) and (0, 1).

    The defaults are those of a picture one can compare: filter-normalised, one-dimensional tensors at zero,
    directions orthogonalised filter by filter and then scaled, so that both hold exactly. A plain function
    is drawn over its first two variables. ``steps`` is the number of points along both directions, or one number for
    each. ``directions`` replaces the random ones: vectors, or a :class:`~thalweg.curvature.Lanczos`, whose first two
    eigenvectors they are (of length 1). ``margin`` is how far beyond the points a plane through two
    or three of them reaches. ``fill`` is how the values are had: every point, :class:`Refine` (interpolated where
    that is good enough) or :class:`Sample` (estimated from some of the rows).

    Raises
    ------
    InputError
        If steps < 2, the range is empty, or more than three points are given.
    """

    steps: int | tuple[int, int] = 51
    half_width: float = 1.0
    margin: float = 0.25
    norm: Norm = "filter"
    biases: Biases = "zero"
    orthogonal: bool = True
    directions: Given | None = None
    fill: Fill = field(default_factory=Dense)

    def __post_init__(self) -> None:
        grid.pair(self.steps)
        check(self.norm, self.biases)
        grid.axis(-self.half_width, self.half_width, 2)

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Surface:
        """Evaluate the surface."""
        if not 1 <= len(points) <= 3:
            raise InputError(f"a plane was given {len(points)} points: give one, two or three")
        if self.directions is not None and len(points) > 1:
            raise InputError(
                f"directions= and {len(points)} points were given: the points are the directions; drop one"
            )
        source = stream(rng)("plane")
        given = tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))
        view = Metered(objective.at(*given), budget)
        corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)][: len(given)]
        around = [grid.axis(-self.half_width, self.half_width, n) for n in grid.pair(self.steps)]
        through = [grid.axis(-self.margin, 1.0 + self.margin, n) for n in grid.pair(self.steps)]
        if len(given) == 3:
            directions, grids = between(view.space, given), through
        elif len(given) == 2:
            directions = segment_and_random(view.space, given, source, self.norm, self.biases)
            grids = [through[0], around[1]]
        else:
            directions, grids = self._around(view, given[0], source), around
        marks = tuple(grid.marked(view, p, corner) for p, corner in zip(given, corners, strict=True))
        record = grid.evaluate_grid(
            self, view, given, grid.Grid(directions, tuple(grids), marks), source, evaluate or Inline()
        )
        assert isinstance(record, Surface)
        return record

    def _around(self, objective: Objective, point: Point, source: Stream) -> Directions:
        if self.directions is not None:
            return taken(objective, point, self.directions, 2, source)
        if objective.space.plain:
            return coordinate_axes(objective.space, 2)
        return RandomDirections(objective.space, point.theta, 2, source, self.norm, self.biases, self.orthogonal)
