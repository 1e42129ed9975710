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
from thalweg.records import Reach, Surface
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.given import Given, taken
from thalweg.slices.points import axes as coordinate_axes
from thalweg.slices.points import between, segment_and_random
from thalweg.slices.random import RandomDirections
from thalweg.slices.range import HalfWidth, check_half_width, one_point, resolved, wanted
from thalweg.slices.repeats import check_repeats, random_alone, streams
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
    that is good enough) or :class:`Sample` (estimated from some of the rows). ``half_width="auto"`` or a :class:`Range`
    finds how far to go around one point. ``repeats`` draws that many pairs of random directions over the same
    coefficients, the first as without it (see :func:`~thalweg.slices.repeats.streams`).

    Raises
    ------
    InputError
        If steps < 2, the range is empty, or more than three points are given.
    """

    steps: int | tuple[int, int] = 51
    half_width: HalfWidth = 1.0
    margin: float = 0.25
    norm: Norm = "filter"
    biases: Biases = "zero"
    orthogonal: bool = True
    directions: Given | None = None
    fill: Fill = field(default_factory=Dense)
    repeats: int = 1

    def __post_init__(self) -> None:
        grid.pair(self.steps)
        check(self.norm, self.biases)
        check_half_width(self.half_width)
        check_repeats(self.repeats, self.fill, self.directions)

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
        random_alone(self.repeats, len(points), objective.space.plain)
        one_point(self.half_width, len(points))
        source = stream(rng)("plane")
        given = tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))
        view = Metered(objective.at(*given), budget)
        corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)][: len(given)]
        marks = tuple(grid.marked(view, p, corner) for p, corner in zip(given, corners, strict=True))
        through = [grid.axis(-self.margin, 1.0 + self.margin, n) for n in grid.pair(self.steps)]
        if len(given) == 3:
            bundle: tuple[Directions, ...] = (between(view.space, given),)
            grids, reach = through, None
        elif len(given) == 2:
            bundle = (segment_and_random(view.space, given, source, self.norm, self.biases),)
            half, reach = resolved(self.half_width, view, given[0], bundle, marks[0].loss)
            grids = [through[0], grid.axis(-half, half, grid.pair(self.steps)[1])]
        else:
            bundle = self._around(view, given[0], rng)
            half, reach = resolved(self.half_width, view, given[0], bundle, marks[0].loss)
            grids = [grid.axis(-half, half, n) for n in grid.pair(self.steps)]
            bundle = bundle[: self.repeats]
        found = grid.Grid(bundle[0], tuple(grids), marks, more=bundle[1:], reach=reach)
        record = grid.evaluate_grid(self, view, given, found, source, evaluate or Inline())
        assert isinstance(record, Surface)
        return record

    def reach(self, objective: Objective, point: Point, rng: int | Stream = 0) -> Reach | None:
        """How far this goes around a point, where that is to be found."""
        view = objective.at(point)
        return resolved(
            self.half_width, view, point, self._around(view, point, rng), grid.marked(view, point, ()).loss
        )[1]

    def _around(self, objective: Objective, point: Point, rng: int | Stream) -> tuple[Directions, ...]:
        """Two directions for each repeat, and for as many planes as the half-width is looked for in."""
        if self.directions is not None:
            return (taken(objective, point, self.directions, 2, stream(rng)("plane")),)
        if objective.space.plain:
            return (coordinate_axes(objective.space, 2),)
        return tuple(
            RandomDirections(objective.space, point.theta, 2, source("plane"), self.norm, self.biases, self.orthogonal)
            for source in streams(rng, max(self.repeats, wanted(self.half_width)))
        )
