"""Finding the closed form of F on a segment, and checking it against F."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from thalweg.core.exact import hidden, polynomial, structure
from thalweg.core.exact.form import ClosedForm, NotExactError
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.records import Cost

BETWEEN = 0.6180339887498949
"""Where a closed form is compared with F beside the ends: a place of which nothing is special."""


@dataclass(frozen=True)
class Found:
    """A closed form and its kind: "polynomial" or "quartic"."""

    form: ClosedForm
    kind: str


def closed_form(objective: Objective, a: Tensor, b: Tensor, losses: Callable[[np.ndarray], np.ndarray]) -> Found:
    """The closed form from a to b, both [P], of an objective in float64; ``losses(ts)`` evaluates F.

    Passes over the rows that do not go through ``losses`` are put on the objective's meter.

    Raises
    ------
    NotExactError
        If there is none, or it differs from F by more than rounding; the message is the reason.
    """
    bare = objective
    while isinstance(bare, Metered):
        bare = bare.objective
    seen = structure.structure(bare, a, b)
    _meter(objective, structure.PASSES)
    if seen.kinks is None:
        nodes = polynomial.nodes(seen.degree + 1)
        checks = np.array([0.0, 1.0])
        values = _finite(np.concatenate([nodes, checks]), losses)
        form: ClosedForm = polynomial.Polynomial.through(values[:-2], objective.tolerance)
        agree(form, checks, values[-2:])
        return Found(form, "polynomial")
    assert isinstance(bare, EmpiricalRisk)
    checks = np.array([0.0, 1.0, BETWEEN])
    values = _finite(checks, losses)
    form = hidden.piecewise(bare._parts, a, b, objective.tolerance)
    _meter(objective, hidden.PASSES)
    agree(form, checks, values)
    return Found(form, "quartic")


def agree(form: ClosedForm, ts: np.ndarray, values: np.ndarray) -> None:
    """Compare a closed form with values of F at ts.

    Raises
    ------
    NotExactError
        If one differs by more than the form's slack.
    """
    for t, value, expected in zip(ts, values, form.at(ts), strict=True):
        if not abs(value - expected) <= form.slack:
            raise NotExactError(
                f"F({t:.6g}) = {value:.17g} where its closed form gives {expected:.17g}, "
                f"further apart than rounding allows ({form.slack:.2g})"
            )


def _finite(ts: np.ndarray, losses: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    values = losses(ts)
    odd = ~np.isfinite(values)
    if odd.any():
        raise NotExactError(f"F is {values[odd][0]} at t = {ts[odd][0]:.6g}")
    return values


def _meter(objective: Objective, passes: int) -> None:
    if isinstance(objective, Metered):
        share, rows = objective._share, objective.row_count
        objective.meter.add(Cost(forwards=share * passes, rows=rows * passes))
