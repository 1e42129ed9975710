"""A grid filled by interpolation wherever that is good enough, and by evaluation where it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline

from thalweg.errors import InputError
from thalweg.slices.fill import Canvas, Fill, Filled, at

CHECKS = 16
"""Points drawn at random among the interpolated ones at the end, evaluated to check them."""


@dataclass(frozen=True)
class Refine(Fill):
    """Cubic splines through a coarse grid, refined where points that were held back are missed by too much.

    From about ``start`` points along each axis the grid is halved until it is whole. At every level one point in
    the middle of each open cell is evaluated and compared with the spline: where the difference exceeds
    ``tolerance`` times the range of F found so far (or ``absolute``), the cell and its neighbours are evaluated
    and stay open; elsewhere the spline's values are kept. The largest difference among cells that were closed is
    the record's ``interpolation_error``: an estimate, for a spike between the points looked at is not seen.
    Cells beside values that are not finite are always evaluated.

    Raises
    ------
    InputError
        If the tolerance is not positive or start is below 4.
    """

    tolerance: float = 1e-2
    absolute: float | None = None
    start: int = 13

    def __post_init__(self) -> None:
        if not self.tolerance > 0 or (self.absolute is not None and not self.absolute > 0):
            raise InputError(f"tolerance={self.tolerance}, absolute={self.absolute}: an error must be positive")
        if self.start < 4:
            raise InputError(f"start={self.start}: a cubic spline needs at least 4 points along each axis")

    def __call__(self, canvas: Canvas) -> Filled:
        """Fill a grid of one or two axes."""
        sheet = _Sheet(canvas)
        stride = 1
        while min(canvas.shape) - 1 >= 2 * stride * (self.start - 1):
            stride *= 2
        levels = [_level(n, stride) for n in canvas.shape]
        sheet.know(np.ix_(*levels))
        filled = {name: values[np.ix_(*levels)] for name, values in sheet.values.items()}
        open_cells = np.ones([len(level) - 1 for level in levels], dtype=bool)
        error = 0.0
        while stride > 1:
            stride //= 2
            finer = [_level(n, stride) for n in canvas.shape]
            guess = {name: _interpolated(levels, values, finer) for name, values in filled.items()}
            middles = _middles(levels, finer)
            cells = np.argwhere(open_cells)
            held = tuple(middles[axis][cells[:, axis]] for axis in range(len(finer)))
            places = tuple(level[i] for level, i in zip(finer, held, strict=True))
            sheet.know(places)
            miss = np.abs(sheet.values["loss"][places] - guess["loss"][held])
            bad = np.zeros_like(open_cells)
            bad[tuple(cells.T)] = ~(miss <= self._allowed(sheet))
            bad = _spread(bad | _beside_holes(filled["loss"])) & open_cells
            closed = ~bad[tuple(cells.T)]
            error = max(error, float(miss[closed].max(initial=0.0)))
            parent = [np.searchsorted(level[1:], fine) for level, fine in zip(levels, finer, strict=True)]
            wanted = _closure(bad, levels, finer)
            sheet.know(tuple(level[i] for level, i in zip(finer, np.nonzero(wanted), strict=True)))
            known = np.ix_(*finer)
            filled = {n: np.where(sheet.known[known], sheet.values[n][known], guess[n]) for n in guess}
            open_cells = bad[np.ix_(*(p[1:] for p in parent))]
            levels = finer
        error = max(error, self._checked(sheet, filled, canvas))
        for name, values in sheet.values.items():
            filled[name] = np.where(sheet.known, values, filled[name])
        return Filled(filled, {"evaluated": sheet.known.copy()}, {"interpolation_error": error})

    def _allowed(self, sheet: _Sheet) -> float:
        loss = sheet.values["loss"][sheet.known]
        finite = loss[np.isfinite(loss)]
        return self.absolute or (self.tolerance * float(np.ptp(finite)) if finite.size else 0.0)

    def _checked(self, sheet: _Sheet, filled: dict[str, np.ndarray], canvas: Canvas) -> float:
        """The largest error at points drawn among those that were only interpolated."""
        left = np.argwhere(~sheet.known)
        if not len(left):
            return 0.0
        draw = np.random.default_rng(canvas.rng("checks").seed).permutation(len(left))[:CHECKS]
        places = tuple(left[draw].T)
        sheet.know(places)
        return float(np.abs(sheet.values["loss"][places] - filled["loss"][places]).max(initial=0.0))


class _Sheet:
    """The values known so far; kept by the evaluator after every round."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.known = np.zeros(canvas.shape, dtype=bool)
        self.values = {name: np.full(canvas.shape, np.nan) for name in canvas.names}
        kept = canvas.evaluate.restore()
        if kept is not None:
            self.known = kept["known"].astype(bool).copy()
            self.values = {name: kept[f"value/{name}"].copy() for name in canvas.names}

    def know(self, places: tuple[np.ndarray, ...]) -> None:
        """Evaluate those of these points that are not known yet."""
        wanted = np.zeros_like(self.known)
        wanted[places] = True
        index = np.flatnonzero(wanted & ~self.known)
        if not len(index):
            return
        for name, found in at(self.canvas, index).items():
            self.values[name].reshape(-1)[index] = found
        self.known.reshape(-1)[index] = True
        self.canvas.evaluate.progress(int(self.known.sum()), self.known.size)
        state = {f"value/{name}": values for name, values in self.values.items()}
        self.canvas.evaluate.checkpoint(state | {"known": self.known.astype(np.uint8)})


def _level(n: int, stride: int) -> np.ndarray:
    """Every ``stride``-th index of n, and the last."""
    return np.unique(np.append(np.arange(0, n, stride), n - 1))


def _interpolated(levels: list[np.ndarray], values: np.ndarray, finer: list[np.ndarray]) -> np.ndarray:
    """The tensor-product cubic spline through values on one level, at a finer one."""
    holes = ~np.isfinite(values)
    if holes.any():  # their cells are evaluated; the spline only has to stay finite
        values = np.where(holes, np.median(values[~holes]) if (~holes).any() else 0.0, values)
    for axis, (level, fine) in enumerate(zip(levels, finer, strict=True)):
        values = make_interp_spline(level, values, k=min(3, len(level) - 1), axis=axis)(fine)
    return values


def _middles(levels: list[np.ndarray], finer: list[np.ndarray]) -> list[np.ndarray]:
    """For each cell of a level, along each axis, the position in the finer level nearest to its middle."""
    found = []
    for level, fine in zip(levels, finer, strict=True):
        first, last = np.searchsorted(fine, level[:-1]), np.searchsorted(fine, level[1:])
        found.append((first + last + 1) // 2 - (last - first == 1))
    return found


def _spread(cells: np.ndarray) -> np.ndarray:
    """The cells and their neighbours, diagonal ones too."""
    for axis in range(cells.ndim):
        ahead, behind = np.roll(cells, 1, axis), np.roll(cells, -1, axis)
        ahead[(slice(None),) * axis + (0,)] = False
        behind[(slice(None),) * axis + (-1,)] = False
        cells = cells | ahead | behind
    return cells


def _beside_holes(values: np.ndarray) -> np.ndarray:
    """Cells with a corner that is not finite."""
    holes = ~np.isfinite(values)
    for axis in range(holes.ndim):
        first = (slice(None),) * axis
        holes = holes[(*first, slice(None, -1))] | holes[(*first, slice(1, None))]
    return holes


def _closure(cells: np.ndarray, levels: list[np.ndarray], finer: list[np.ndarray]) -> np.ndarray:
    """Positions of the finer level that lie in one of these cells or on its edge."""
    for axis, (level, fine) in enumerate(zip(levels, finer, strict=True)):
        above = np.clip(np.searchsorted(level, fine, side="right") - 1, 0, len(level) - 2)
        below = np.clip(np.searchsorted(level, fine, side="left") - 1, 0, len(level) - 2)
        cells = np.take(cells, above, axis) | np.take(cells, below, axis)
    return cells
