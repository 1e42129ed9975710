"""Evaluating a grid of coefficients and making the record: what lines and planes share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.directions import Directions
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.records import Mark, Profile, Reach, SliceStatus, Surface, Volume
from thalweg.slices.fill import Canvas
from thalweg.slices.policies import reservations
from thalweg.slices.repeats import held, repeated


def check_steps(steps: int, name: str = "steps") -> None:
    """A grid needs both its ends.

    Raises
    ------
    InputError
        If steps is below 2.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise InputError(f"{name}={steps!r}: a grid has at least 2 points along each direction")


def pair(steps: int | Sequence[int]) -> tuple[int, int]:
    """The points along the first and the second direction, from one number for both or from two.

    Raises
    ------
    InputError
        If they are more than two, or one is below 2.
    """
    both = tuple(steps) if isinstance(steps, (tuple, list)) else (steps, steps)
    if len(both) != 2:
        raise InputError(f"steps={steps!r}: a plane takes one number, or one for each of its two directions")
    for one in both:
        check_steps(one)
    return both[0], both[1]


MOST_STEPS = 2**24
"""More points along a direction than these are a slip of the pen, and would be allocated before anything is said."""


def axis(low: float, high: float, steps: int) -> Tensor:
    """``steps`` coefficients from low to high, float64; exactly 0 where an odd symmetric grid has its middle.

    Raises
    ------
    InputError
        If the ends are not finite or not in order, or there are absurdly many steps.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"range [{low}, {high}] is empty or not finite: give a smaller number first, then a larger")
    if steps > MOST_STEPS:
        raise InputError(f"steps={steps}: at most {MOST_STEPS:,} points lie along a direction; take fewer")
    grid = torch.linspace(low, high, steps, dtype=torch.float64)
    if steps % 2 and low == -high:
        grid[steps // 2] = 0.0
    return grid


@dataclass(frozen=True)
class Grid:
    """The coefficients along each direction, and what is shown on the slice beside F.

    ``more`` are further directions along which the same coefficients are evaluated; ``reach`` says how the ends of the
    axes were found.
    """

    directions: Directions
    axes: tuple[Tensor, ...]
    marks: tuple[Mark, ...] = ()
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    more: tuple[Directions, ...] = ()
    reach: Reach | None = None


def evaluate_grid(
    method: Any,
    objective: Metered,
    points: Sequence[Point],
    grid: Grid,
    rng: Stream,
    evaluate: Evaluator,
) -> Profile | Surface | Volume:
    """F and metrics on the product of the grid's axes around the first point.

    ``method.fill`` says how; F at coefficient zero is always evaluated. Test rows of the objective are evaluated at the
    same points. The cost includes what the meter had counted before, such as the losses of the marks.
    """
    bundle = held((grid.directions, *grid.more))
    directions = bundle[0]
    summary = directions.summary()
    subspace = objective.restrict(points[0].theta, directions)
    mesh = torch.stack(torch.meshgrid(*grid.axes, indexing="ij"), dim=-1)
    k = len(grid.axes)
    zero = (mesh == 0).all(-1).nonzero().tolist()
    center = tuple(zero[0]) if zero else None
    settings = {
        **objective.numerics,
        "recipe": summary.recipe,
        "directions": directions.digest(),
        "origin": digest(points[0].theta),
        "grid": digest(mesh.reshape(-1, k)),
    }
    names = ("loss", *objective.metrics)
    test, beside = objective.test, None
    if test is not None:
        beside = test.restrict(points[0].theta, directions)
        names += ("test_loss", *(f"test_{name}" for name in test.metrics))
        settings["test"] = test.fingerprint().data
    # The centre is F at the point itself, to the last bit: a backend rounds it as one point among many.
    known = [mark.loss for mark in grid.marks if not any(mark.coordinates) and not mark.distance]
    center_loss = known[0] if known else float(objective.losses(objective.space.check(points[0].theta)[None])[0])
    before = objective.meter.read()
    canvas = Canvas(objective, subspace, mesh, names, settings, rng, evaluate, beside)
    filled = repeated(canvas, bundle) if grid.more else method.fill(canvas)
    data = {**filled.values, **filled.data}
    exact = {} if center is None else {center: center_loss}
    for mark in grid.marks:  # F at the point itself too: θ₁ + (θ₂ − θ₁) is θ₂ only up to rounding
        cell = (mesh == torch.tensor(mark.coordinates, dtype=mesh.dtype)).all(-1).nonzero().tolist()
        exact |= {tuple(cell[0]): mark.loss} if cell and not mark.distance else {}
    for at, loss in exact.items():  # known, so that an interval there has no width
        for name in ("loss", "lower", "upper"):
            if name in data:
                data[name][at] = loss
        if "repeat_loss" in data:
            data["repeat_loss"][(slice(None), *at)] = loss
    losses = data.get("repeat_loss", data["loss"])
    fields = dict(filled.fields)
    cost = before + fields.pop("cost") if "cost" in fields else objective.meter.read()
    already = objective.meter.read()
    notes = reservations(objective, points, grid.marks, subspace, mesh.numpy(), data["loss"])
    cost = cost + (objective.meter.read() - already)
    notes = (*directions.notes, *notes, *(() if grid.reach is None else (str(grid.reach),)))
    cls: type[Profile | Surface | Volume] = (Profile, Surface, Volume)[k - 1]
    return cls(
        data={**data, "coordinates": mesh[..., 0].numpy() if k == 1 else mesh.numpy(), **grid.extra},
        status=filled.status if np.isfinite(losses).all() else SliceStatus.NONFINITE,
        cost=cost,
        provenance=provenance(objective, method, points, rng, backend=subspace.backend, notes=notes),
        directions=summary,
        center=center,
        center_loss=center_loss,
        metrics=tuple(name for name in objective.metrics if name in data),
        marks=grid.marks,
        reach=grid.reach,
        test_rows=None if test is None else test.row_count,
        **fields,
    )


def digest(x: Tensor) -> str:
    """A digest of a tensor's values, to tell that a resumed plan is the same."""
    return hashlib.blake2b(x.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest()


def marked(objective: Objective, point: Point, coordinates: Sequence[float], distance: float = 0.0) -> Mark:
    """A point of interest with F at the point itself."""
    theta, test = objective.space.check(point.theta)[None], objective.test
    loss = float(objective.losses(theta)[0])
    test_loss = None if test is None else float(test.losses(theta)[0])
    return Mark(point.name, tuple(float(c) for c in coordinates), loss, distance, test_loss)
