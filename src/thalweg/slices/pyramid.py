"""Nested grids, each of which predicts the next by splines; what a prediction missed is the error of its cell.

The differences between values and predictions are the hierarchical surpluses of Donoho 1992 (Interpolating wavelet
transforms) and of sparse grids (Bungartz & Griebel 2004, §3), here with not-a-knot cubic splines in place of local
bases. A cell of a level is the closed box between neighbouring points of its grid, along one or two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.ndimage import distance_transform_edt

Level = tuple[np.ndarray, ...]
"""Along each axis, the indices of the whole grid that are on this level."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Known values, and predictions in the others' place, [*grid]; |value − prediction| where known, else 0."""

    values: np.ndarray
    surplus: np.ndarray


class Pyramid:
    """The levels of a grid of ``shape``: the second has about ``start`` points along each axis, the last has all.

    The first is every other point of the second, so that the values on the second test each other.
    """

    def __init__(self, shape: tuple[int, ...], start: int) -> None:
        self.shape = shape
        axes = [_halvings(n, start) for n in shape]
        depth = max(map(len, axes))
        self.levels: list[Level] = list(
            zip(*([*axis, *[axis[-1]] * (depth - len(axis))] for axis in axes), strict=True)
        )

    def predict(self, values: np.ndarray, known: np.ndarray, degree: int = 3) -> Prediction:
        """Every level from the one below it; values [*grid] are read where ``known`` [*grid] says so."""
        surplus = np.zeros(self.shape)
        filled = values[np.ix_(*self.levels[0])]
        for i in range(len(self.levels) - 1):
            on = np.ix_(*self.levels[i + 1])
            guess = _spline(self.levels[i], filled, self.levels[i + 1], degree)
            miss = np.abs(values[on] - guess)
            surplus[on] = np.where(self.new(i) & known[on] & np.isfinite(miss), miss, surplus[on])
            filled = np.where(known[on], values[on], guess)
        return Prediction(filled, surplus)

    def new(self, level: int) -> np.ndarray:
        """Which points of the next level are not on this one."""
        old = [np.isin(b, a) for a, b in zip(self.levels[level], self.levels[level + 1], strict=True)]
        return ~_product(old)

    def most(self, x: np.ndarray, level: int) -> np.ndarray:
        """The largest x [*grid] in each cell of a level, its own corners left out."""
        x = x.copy()
        x[np.ix_(*self.levels[level])] = 0
        return self.cellwise(x, level)

    def tested(self, surplus: np.ndarray, level: int) -> np.ndarray:
        """The largest surplus [*grid] among the points that the next level adds to each cell."""
        on = np.ix_(*self.levels[level + 1])
        found = np.zeros(self.shape)
        found[on] = np.where(self.new(level), surplus[on], 0.0)
        return self.cellwise(found, level)

    def cellwise(self, x: np.ndarray, level: int) -> np.ndarray:
        """The largest x [*grid] in each cell of a level."""
        for axis, a in enumerate(self.levels[level]):
            inside = np.maximum.reduceat(x, a[:-1], axis=axis)
            x = np.maximum(inside, np.take(x, a[1:], axis=axis))
        return x

    def below(self, x: np.ndarray, level: int) -> np.ndarray:
        """For each cell of a level, x [*cells] of the cell of the level below that holds it."""
        pairs = zip(self.levels[level - 1], self.levels[level], strict=True)
        return x[np.ix_(*(np.searchsorted(a[1:], b[1:]) for a, b in pairs))]

    def inside(self, cells: np.ndarray, level: int) -> np.ndarray:
        """Which points [*grid] of the next level lie in one of these cells [*cells]."""
        for axis, (a, b) in enumerate(zip(self.levels[level], self.levels[level + 1], strict=True)):
            sides = (np.clip(np.searchsorted(a, b, side=side) - 1, 0, len(a) - 2) for side in ("left", "right"))
            cells = np.logical_or(*(np.take(cells, side, axis) for side in sides))
        found = np.zeros(self.shape, dtype=bool)
        found[np.ix_(*self.levels[level + 1])] = cells
        return found


def _halvings(n: int, start: int) -> list[np.ndarray]:
    """The levels of n points along one axis."""
    base = np.unique(np.linspace(0, n - 1, min(n, start)).round().astype(int))
    found = [np.unique(np.append(base[::2], base[-1])), base]
    while len(a := found[-1]) < n:
        found.append(np.unique(np.concatenate([a, (a[:-1] + a[1:]) // 2])))
    return found


def _spline(coarse: Level, values: np.ndarray, fine: Level, degree: int) -> np.ndarray:
    """The tensor-product spline through values on one level, at another.

    What is not finite takes the nearest value that is: a spline has to stay finite, and what it says there is not used.
    """
    holes = ~np.isfinite(values)
    if holes.all():
        values = np.zeros_like(values)
    elif holes.any():
        nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    for axis, (a, b) in enumerate(zip(coarse, fine, strict=True)):
        values = make_interp_spline(a, values, k=min(degree, len(a) - 1), axis=axis)(b)
    return values


def _product(axes: Sequence[np.ndarray]) -> np.ndarray:
    found = np.ones((), dtype=bool)
    for axis in axes:
        found = found[..., None] & axis
    return found
