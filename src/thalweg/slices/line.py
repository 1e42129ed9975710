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
from thalweg.records import Profile, Reach
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.given import Given, taken
from thalweg.slices.points import between
from thalweg.slices.random import RandomDirections
from thalweg.slices.range import HalfWidth, check_half_width, one_point, resolved, wanted
from thalweg.slices.repeats import check_repeats, random_alone, streams
from thalweg.slices.rules import Biases, Norm, check


@dataclass(frozen=True)
class Line:
    """One point: a random direction over [−half_width, half_width]. Two points: t from 0 (first) to 1 (second).

    ``margin`` draws a segment beyond both of its ends by that share. ``directions`` replaces the random one: a vector,
    or a :class:`~thalweg.curvature.Lanczos`, whose first eigenvector it is (of length 1).
    ``fill`` is how the values are had: every point, :class:`Refine` or :class:`Sample`. ``half_width="auto"`` or a
    :class:`Range` finds how far to go. ``repeats`` draws that many random directions over the same coefficients, the
    first as without it (see :func:`~thalweg.slices.repeats.streams`).

    Raises
    ------
    InputError
        If steps < 2, the range is empty, or more than two points are given.
    """

    steps: int = 51
    half_width: HalfWidth = 1.0
    margin: float = 0.0
    norm: Norm = "filter"
    biases: Biases = "zero"
    directions: Given | None = None
    fill: Fill = field(default_factory=Dense)
    repeats: int = 1

    def __post_init__(self) -> None:
        grid.check_steps(self.steps)
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
    ) -> Profile:
        """Evaluate the profile."""
        if not 1 <= len(points) <= 2:
            raise InputError(f"a line was given {len(points)} points: give one, or two to join")
        if self.directions is not None and len(points) > 1:
            raise InputError(
                f"directions= and {len(points)} points were given: the points are the directions; drop one"
            )
        random_alone(self.repeats, len(points), plain=False)
        given = tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))
        view = Metered(objective.at(*given), budget)
        marks = tuple(grid.marked(view, p, (float(i),)) for i, p in enumerate(given))
        if len(given) == 2:
            one_point(self.half_width, len(given))
            bundle: tuple[Directions, ...] = (between(view.space, given),)
            low, high, reach = -self.margin, 1.0 + self.margin, None
        else:
            bundle = self._around(view, given[0], rng)
            half, reach = resolved(self.half_width, view, given[0], bundle, marks[0].loss)
            low, high, bundle = -half, half, bundle[: self.repeats]
        found = grid.Grid(bundle[0], (grid.axis(low, high, self.steps),), marks, more=bundle[1:], reach=reach)
        record = grid.evaluate_grid(self, view, given, found, stream(rng)("line"), evaluate or Inline())
        assert isinstance(record, Profile)
        return record

    def reach(self, objective: Objective, point: Point, rng: int | Stream = 0) -> Reach | None:
        """How far this goes around a point, where that is to be found."""
        view = objective.at(point)
        return resolved(
            self.half_width, view, point, self._around(view, point, rng), grid.marked(view, point, ()).loss
        )[1]

    def _around(self, objective: Objective, point: Point, rng: int | Stream) -> tuple[Directions, ...]:
        """A direction for each repeat, and as many as the half-width is looked for along."""
        if self.directions is not None:
            return (taken(objective, point, self.directions, 1, stream(rng)("line")),)
        norm = None if objective.space.plain else self.norm  # a plain function has no filters to compare with
        return tuple(
            RandomDirections(objective.space, point.theta, 1, source("line"), norm, self.biases)
            for source in streams(rng, max(self.repeats, wanted(self.half_width)))
        )
