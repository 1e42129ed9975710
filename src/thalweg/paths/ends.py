"""The two points that a path joins, and the level it is asked to stay below."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.errors import InputError

SHARE = 0.05
"""The default level is the worse end and this share of its absolute value above it."""

REPORT = 60.0
"""Gradients that are set aside to report a path: a profile, and the maxima of about a dozen pieces."""

REPORTED = 0.25
"""The most of a budget that is set aside so, unless that is less than both ends and a few points take."""

FEW = 1.5
"""Gradients that these take."""


@dataclass(frozen=True)
class Ends:
    """Two points with the objective that reports values along a path between them, and the one that takes steps.

    ``values`` and ``steps`` share one meter, on which what reports the path in the end is set aside. With normalising
    layers ``values`` estimates their statistics at every point and ``steps`` takes each batch's own, unless a policy is
    forced (:meth:`Objective.at`).
    """

    a: Point
    b: Point
    values: Metered
    steps: Metered
    losses: tuple[float, float]
    level: float

    @property
    def points(self) -> tuple[Point, Point]:
        """Both points."""
        return self.a, self.b

    @property
    def statistics(self) -> str:
        """The normalisation policy of values and, where it is another, that of steps."""
        return policies(self.values, self.steps)


def ends(
    objective: Objective,
    a: Point | Tensor | np.ndarray,
    b: Point | Tensor | np.ndarray,
    level: float | None = None,
    budget: Budget | None = None,
) -> Ends:
    """Both points on one meter, F there, and the level: by default the worse end + 5 % of its absolute value + 1e-9.

    Raises
    ------
    InputError
        If a point is not of this space, F at one is not finite, or the level is not a number.
    """
    first, second = objective.point(a, "a"), objective.point(b, "b")
    counted = objective if isinstance(objective, Metered) else Metered(objective, budget)
    limit = counted.meter.budget.gradients
    counted.meter.kept = (
        0.0 if limit is None else min(REPORT * counted.passes, max(REPORTED * limit, FEW * counted.passes))
    )
    view = counted.at(first, second)
    steps = view.training()
    assert isinstance(view, Metered) and isinstance(steps, Metered)
    rows = [objective.space.check(p.theta)[None] for p in (first, second)]
    found = [float(view.losses(row)[0]) for row in rows]
    for point, value in zip((first, second), found, strict=True):
        if not math.isfinite(value):
            raise InputError(f"F at {point.name} is {value}: a path needs two ends of finite loss")
    if level is not None and not math.isfinite(level):
        raise InputError(f"level={level}: give a finite level, or None for the worse end + {SHARE:.0%}")
    return Ends(first, second, view, steps, (found[0], found[1]), default_level(*found) if level is None else level)


def default_level(*losses: float) -> float:
    """The worse of the losses + 5 % of its absolute value + 1e-9."""
    worse = max(losses)
    return worse + SHARE * abs(worse) + 1e-9


def policies(values: Objective, steps: Objective) -> str:
    """The normalisation policy of values and, where it is another, that of steps, in words."""
    one, other = values.statistics_name, steps.statistics_name
    return one if one == other else f"{one} for values, {other} for steps"
