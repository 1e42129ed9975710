"""Whether a picture depends on where normalising layers take their statistics from, seen at a few of its points."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product

import numpy as np

from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.space import Point
from thalweg.core.statistics import Freeze, Recalibrate, Statistics
from thalweg.core.subspace import Subspace
from thalweg.errors import BudgetSpent, StatisticsError, StatisticsWarning
from thalweg.records import Mark


def reservations(
    objective: Metered,
    points: Sequence[Point],
    marks: Sequence[Mark],
    subspace: Subspace,
    mesh: np.ndarray,
    loss: np.ndarray,
) -> tuple[str, ...]:
    """A note, also given as a warning, where another policy changes F by more than the range of the picture.

    F is computed under the other policy at the marks and at the ends of the grid [*grid, k] (a plane's corners):
    recalibrated where the picture's statistics are fixed or interpolated, with each point's own where it is
    recalibrated or has those of the first. Nothing where there is nothing to normalise, or the budget is spent.
    """
    risk = objective.objective
    if not isinstance(risk, EmpiricalRisk) or not risk.network.normalised:
        return ()
    finite = loss[np.isfinite(loss)]
    if not finite.size:
        return ()
    span, widest, said = float(np.ptp(finite)), 0.0, ""
    with suppress(BudgetSpent, StatisticsError):
        for place, policy, ours, theirs in _pairs(objective, risk, points, marks, subspace, mesh, loss):
            known = math.isfinite(ours) + math.isfinite(theirs)  # where one alone is finite nothing is wider
            gap = (0.0, math.inf, abs(ours - theirs))[known]
            if gap > max(span, widest):
                widest = gap
                said = (
                    f"F at {place} is {ours:.4g} under {objective.statistics_name} and {theirs:.4g} under {policy}: "
                    f"they differ by more than the range of the picture, {span:.4g}"
                )
    if not said:
        return ()
    warnings.warn(f"{said}; --statistics chooses which is drawn", StatisticsWarning, stacklevel=4)
    return (said,)


def _pairs(
    objective: Metered,
    risk: EmpiricalRisk,
    points: Sequence[Point],
    marks: Sequence[Mark],
    subspace: Subspace,
    mesh: np.ndarray,
    loss: np.ndarray,
) -> Iterator[tuple[str, str, float, float]]:
    """Where, the other policy, and F under this one and under the other."""
    recalibrated = risk.statistics_name == Recalibrate.name
    frozen = risk.statistics_name.startswith(Freeze.name)
    for point, mark in zip(points, marks, strict=False):
        policies: list[Statistics] = [Freeze() if recalibrated else Recalibrate()]
        policies += [Freeze()] if frozen and point is not points[0] else []  # its own, not the first point's
        for policy in policies if point.name == mark.name else ():
            other = _other(objective, risk, policy, point)
            yield mark.name, other.statistics_name, mark.loss, float(other.losses(point.theta[None])[0])
    if len(points) > 1 and recalibrated:
        return  # between points no single set of statistics is their own
    other = _other(objective, risk, Freeze() if recalibrated else Recalibrate(), points[0])
    for corner in product((0, -1), repeat=loss.ndim):
        at = mesh[corner]
        theta = subspace.points(subspace.theta0.new_tensor(at)[None])
        place = f"({', '.join(f'{c:.3g}' for c in at)})"
        yield place, other.statistics_name, float(loss[corner]), float(other.losses(theta)[0])


def _other(objective: Metered, risk: EmpiricalRisk, policy: Statistics, point: Point) -> Objective:
    """The objective under another policy, on the same meter."""
    return Metered(risk.with_statistics(policy).at(point), meter=objective.meter)
