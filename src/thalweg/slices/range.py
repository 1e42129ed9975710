"""How far a slice reaches: half-widths found from how F rises, or from its curvature, along the slice's directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.records import Reach

By = Literal["loss", "curvature"]


@dataclass(frozen=True)
class Range:
    """The half-width at which F has risen by ``ratio`` times its value at the point; ``half_width="auto"`` is this.

    ``by="loss"``: the median over directions of the rise, the mean of both ends, is bisected to within 5 % between
    ``limits``, which count in lengths of theta (in filter-normalised coordinates, about 1). At least ``directions`` of
    them are looked along where they are random. ``by="curvature"``: where ½·λ·r² is that much, λ the largest eigenvalue
    of the Hessian restricted to each slice's directions, median over the slices; one product for each direction.
    ``rise`` asks for a rise in units of F instead, such as where F is zero or negative.

    Raises
    ------
    InputError
        If ratio or rise is not positive, the limits are not in order, or ``by`` is unknown.
    """

    ratio: float = 10.0
    by: By = "loss"
    rise: float | None = None
    directions: int = 4
    limits: tuple[float, float] = (1e-3, 2.0)

    def __post_init__(self) -> None:
        for name in ("ratio", "rise"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name}={value}: how far F is to rise must be positive")
        if self.by not in ("loss", "curvature"):
            raise InputError(f"by={self.by!r}: choose 'loss' or 'curvature'")
        if not 0 < self.limits[0] < self.limits[1]:
            raise InputError(f"limits={self.limits}: give a smaller positive number first, then a larger")
        if self.directions < 1:
            raise InputError(f"directions={self.directions}: at least 1 is needed")

    def __call__(self, objective: Objective, point: Point, bundle: Sequence[Directions], center_loss: float) -> Reach:
        """The half-width along each of several sets of directions at a point."""
        rise = self.ratio * center_loss if self.rise is None else self.rise
        if not math.isfinite(center_loss):
            raise InputError(f"F is {center_loss:g} at {point.name!r}: nothing rises from there; take another point")
        if not rise > 0:
            raise InputError(
                f"F is {center_loss:.4g} at {point.name!r}, so {self.ratio:g} times F is no rise: give Range(rise=…), "
                "or a number as half_width"
            )
        lengths = [float(d.gram().diagonal().sqrt().max()) for d in bundle]
        size = float(objective.space.check(point.theta).double().norm())
        if not math.isfinite(size) or not 0 < min(lengths) <= max(lengths) < math.inf:
            raise InputError(
                f"theta of length {size:.3g} at {point.name!r} and directions of length {min(lengths):.3g} "
                "have no scale: take another point, other directions or norm, or give a number as half_width"
            )
        unit = (size if size > 0 else 1.0) / max(lengths)
        low, high = self.limits[0] * unit, self.limits[1] * unit
        if self.by == "curvature":
            radius = _of_quadratic(objective, point, bundle, rise)
            reached = low <= radius <= high
            half = min(max(radius, low), high)
        else:
            half, reached = _bisected(_rises(objective, point, bundle, center_loss), rise, unit, low, high)
        count, half = sum(d.k for d in bundle), _rounded(half)
        return Reach(half, self.by, self.ratio if self.rise is None else None, (rise,), (half,), count, reached)


HalfWidth = float | Literal["auto"] | Range | Reach
"""A number, how to find one, or one that was found; "auto" is ``Range()``."""


def check_half_width(half_width: HalfWidth) -> None:
    """Refuse a half-width that is no positive number and no way to find one.

    Raises
    ------
    InputError
        If it is neither.
    """
    if half_width == "auto" or isinstance(half_width, (Range, Reach)):
        return
    if not isinstance(half_width, (int, float)) or not (math.isfinite(half_width) and half_width > 0):
        raise InputError(
            f"half_width={half_width!r}: the range is empty or not finite: give a positive number or 'auto'"
        )


def one_point(half_width: HalfWidth, points: int) -> None:
    """Refuse to look for a half-width between points."""
    if _range(half_width) is not None and points > 1:
        raise InputError(f"half_width='auto' and {points} points: it is found around one point; give a number")


def wanted(half_width: HalfWidth) -> int:
    """Along how many random directions a half-width is looked for; 0 where it is known."""
    found = _range(half_width)
    return 0 if found is None else found.directions


def resolved(
    half_width: HalfWidth, objective: Objective, point: Point, bundle: Sequence[Directions], center_loss: float
) -> tuple[float, Reach | None]:
    """The half-width as a number, and how it was found along the first of these directions, where it was."""
    found = _range(half_width)
    reach = half_width if found is None else found(objective, point, bundle[: found.directions], center_loss)
    return (reach.half_width, reach) if isinstance(reach, Reach) else (float(reach), None)  # type: ignore[arg-type]


def _range(half_width: HalfWidth) -> Range | None:
    return Range() if half_width == "auto" else half_width if isinstance(half_width, Range) else None


M = TypeVar("M", bound=Any)


def shared_range(method: M, *models: tuple[Objective, Point | Tensor | np.ndarray], rng: int | Stream = 0) -> M:
    """A line or plane with one half-width for several models, the largest that it finds around any of them.

    Raises
    ------
    InputError
        If the method's half-width is a number, or no model is given.
    """
    if _range(method.half_width) is None:
        raise InputError(f"half_width={method.half_width!r} is the same for all models already: give 'auto' or a Range")
    if not models:
        raise InputError("no model was given: pass pairs (objective, point)")
    each = [method.reach(objective, objective.point(point), rng) for objective, point in models]
    largest = max(each, key=lambda reach: reach.half_width)
    return replace(
        method,
        half_width=replace(
            largest,
            rise=tuple(reach.rise[0] for reach in each),
            found=tuple(reach.half_width for reach in each),
            reached=all(reach.reached for reach in each),
        ),
    )


def _rises(
    objective: Objective, point: Point, bundle: Sequence[Directions], center_loss: float
) -> Callable[[float], float]:
    """The median over directions of the mean rise at both ends, as a function of the radius; infinite for NaN."""
    subspaces = [objective.restrict(point, d.held()) for d in bundle]

    def median(radius: float) -> float:
        found = []
        for subspace in subspaces:
            ends = radius * torch.eye(subspace.k, dtype=torch.float64)
            loss = subspace.evaluate(torch.cat([ends, -ends]))["loss"].double().cpu().reshape(2, -1)
            found += (loss.mean(0) - center_loss).nan_to_num(math.inf, math.inf, math.inf).tolist()
        return float(np.median(found))

    return median


def _bisected(
    rise_at: Callable[[float], float], rise: float, unit: float, low: float, high: float
) -> tuple[float, bool]:
    """The radius at which the rise is reached, from a doubling or halving of the unit; within the limits."""
    radius = min(max(unit, low), high)
    if rise_at(radius) < rise:
        under = radius
        while rise_at(over := min(2 * under, high)) < rise:
            if over >= high:
                return unit, False
            under = over
    else:
        over = radius
        while rise_at(under := max(over / 2, low)) >= rise:
            if under <= low:
                return low, False
            over = under
    while over > 1.05 * under:
        middle = under * math.sqrt(over / under)
        under, over = (middle, over) if rise_at(middle) < rise else (under, middle)
    return over, True


def _of_quadratic(objective: Objective, point: Point, bundle: Sequence[Directions], rise: float) -> float:
    """√(2·rise/λ) with the largest eigenvalue λ of the Hessian along each set of directions; their median."""
    theta = objective.space.check(point.theta)
    radii = []
    with objective.linearized(theta[None]) as linear:
        for directions in bundle:
            rows = directions.dense().to(theta)
            products = linear.hvp(rows[None])[0]
            square = rows.double() @ products.double().T
            largest = float(torch.linalg.eigvalsh((square + square.T) / 2)[-1])
            radii.append(math.sqrt(2 * rise / largest) if largest > 0 else math.inf)
    middle = float(np.median(radii))
    if not math.isfinite(middle):
        raise InputError(
            f"F does not curve upwards along these directions at {point.name!r}: find the half-width by='loss'"
        )
    return middle


def _rounded(radius: float) -> float:
    """Up to two digits: what a picture's axis can say, and what rounding in F does not change."""
    step = 10.0 ** (math.floor(math.log10(radius)) - 1)
    return float(f"{math.ceil(radius / step - 1e-9) * step:.3g}")
