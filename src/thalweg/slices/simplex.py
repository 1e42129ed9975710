"""F over the simplex of several points: every mixture of their parameters on a lattice of weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.directions import Dense, Directions
from thalweg.core.evaluate import Evaluator, Inline, Plan
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import InputError
from thalweg.records import SimplexSurface, SliceStatus
from thalweg.slices import grid
from thalweg.slices.fill import Canvas
from thalweg.slices.policies import reservations

MOST = 10**6
"""A lattice of more points than this is refused: it is a slip of the number of steps."""

DEPENDENT = 1e-9
"""Points count as dependent where the cosines between their directions have a smaller eigenvalue than this."""


@dataclass(frozen=True)
class Simplex:
    """F at Σ wᵢ θᵢ for all weights that are multiples of 1/(steps − 1), add up to 1 and are not negative.

    Of three points that is a triangle of ``steps`` points a side, of q points a lattice of C(steps + q − 2, q − 1). The
    points themselves are on it, and F there is that of the points to the last bit.

    Raises
    ------
    InputError
        If steps < 2, fewer than 2 points are given, the lattice is too large, or they are affinely dependent.
    """

    steps: int = 21

    def __post_init__(self) -> None:
        grid.check_steps(self.steps)

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> SimplexSurface:
        """Evaluate the mixtures."""
        if len(points) < 2:
            raise InputError(f"a simplex was given {len(points)} points: give at least two")
        source, evaluate = stream(rng)("simplex"), evaluate or Inline()
        given = tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))
        size = math.comb(self.steps + len(given) - 2, len(given) - 1)
        if size > MOST:
            raise InputError(f"steps={self.steps} and {len(given)} points make {size:,} mixtures: use fewer steps")
        directions = _edges(objective.space, given)
        view = Metered(objective.at(*given), budget)
        counts = lattice(self.steps - 1, len(given))
        weights = counts.astype(float) / (self.steps - 1)
        marks = tuple(
            grid.marked(view, p, tuple(float(i == j) for j in range(len(given)))) for i, p in enumerate(given)
        )
        summary, before = directions.summary(), view.meter.read()
        subspace = view.restrict(given[0].theta, directions)
        names, beside = ("loss", *view.metrics), None
        coefficients = torch.from_numpy(weights[:, 1:].copy())
        settings = {
            **view.numerics,
            "recipe": summary.recipe,
            "directions": directions.digest(),
            "origin": grid.digest(given[0].theta),
            "grid": grid.digest(coefficients),
        }
        if view.test is not None:
            beside = view.test.restrict(given[0].theta, directions)
            names += ("test_loss", *(f"test_{name}" for name in view.test.metrics))
            settings["test"] = view.test.fingerprint().data
        canvas = Canvas(view, subspace, coefficients, names, settings, source, evaluate, beside)
        outcome = evaluate(
            Plan(
                canvas.values,
                coefficients,
                names,
                meter=view.meter.read,
                settings=settings,
                measure=canvas.measured,
                obey=canvas.obey,
            )
        )
        values = {name: np.array(outcome.values[name]) for name in names}
        for i, mark in enumerate(marks):  # θ₁ + (θᵢ − θ₁) is θᵢ only up to rounding
            values["loss"][counts[:, i] == self.steps - 1] = mark.loss
            if mark.test_loss is not None:
                values["test_loss"][counts[:, i] == self.steps - 1] = mark.test_loss
        finite, already = bool(np.isfinite(values["loss"]).all()), view.meter.read()
        notes = reservations(view, given, marks, subspace, weights[:, 1:], values["loss"])
        return SimplexSurface(
            data={**values, "weights": weights},
            status=SliceStatus.COMPLETE if finite else SliceStatus.NONFINITE,
            cost=before + outcome.cost + (view.meter.read() - already),
            provenance=provenance(view, self, given, source, backend=subspace.backend, notes=notes),
            directions=summary,
            divisions=self.steps - 1,
            marks=marks,
            metrics=tuple(view.metrics),
            test_rows=None if view.test is None else view.test.row_count,
        )


def lattice(divisions: int, points: int) -> np.ndarray:
    """All ways to share out ``divisions`` among ``points``, int64 [C(divisions + points − 1, points − 1), points].

    The first point's share falls from row to row, so that the first row is the first point.
    """
    bars = np.array(list(itertools.combinations(range(divisions + points - 1), points - 1)), dtype=np.int64)
    edges = np.pad(bars.reshape(-1, points - 1), ((0, 0), (1, 1)), constant_values=-1)
    edges[:, -1] = divisions + points - 1
    return (np.diff(edges, axis=1) - 1)[::-1].copy()


def _edges(space: ParameterSpace, points: tuple[Point, ...]) -> Directions:
    """From the first point to each of the others."""
    first, names = space.check(points[0].theta), [p.name for p in points]
    rows = torch.stack([space.check(p.theta) - first for p in points[1:]])
    for name, row in zip(names[1:], rows, strict=True):
        if not bool(row.any()):
            raise InputError(f"points {names[0]!r} and {name!r} are the same: give different ones")
    labels = tuple(f"{names[0]} → {name}" for name in names[1:])
    at = [space.digest(space.check(p.theta)) for p in points]
    recipe = {"kind": "points", "points": names, "space": space.fingerprint, "at": at}
    found = Dense(space, rows, recipe, labels)
    gram = found.gram()
    size = gram.diagonal().sqrt()
    if float(torch.linalg.eigvalsh(gram / size.outer(size))[0]) < DEPENDENT:
        raise InputError(
            f"points {', '.join(map(repr, names))} span fewer than {len(points) - 1} directions: a simplex of "
            f"{len(points)} points needs as many; leave one out"
        )
    return found
