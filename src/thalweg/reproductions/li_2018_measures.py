"""What is read off a surface, and how many networks it takes to say it: counts, thresholds, intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from thalweg.records import Surface
from thalweg.topology import Basins

LEVEL = 0.95
"""How often Student's intervals hold if what they are about is normal over networks."""


def surviving(surface: Surface) -> int:
    """Basins of the surface that are more than the error of its values; cells that touch at a corner are neighbours.

    With 4 neighbours a valley that runs diagonally would be cut into a basin per cell.
    """
    return Basins(connectivity=8)(surface).surviving


def nonconvex(values: np.ndarray, tolerance: float) -> float:
    """Share of the inner cells of a grid [n, m] at which the second differences have a negative eigenvalue.

    The 2×2 matrix of central differences on equal spacings; an eigenvalue counts as negative where it lies below what
    rounding, ``tolerance`` · |value|, can make of zero. Cells that are not finite, or touch one, are left out.
    """
    f = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        xx = f[2:, 1:-1] - 2 * f[1:-1, 1:-1] + f[:-2, 1:-1]
        yy = f[1:-1, 2:] - 2 * f[1:-1, 1:-1] + f[1:-1, :-2]
        xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / 4
        least = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
        around = np.max(
            [np.abs(f[i : f.shape[0] - 2 + i, j : f.shape[1] - 2 + j]) for i in range(3) for j in range(3)], 0
        )
    seen = np.isfinite(least)
    # a second difference sums values with weights of 4 in all; both terms of the eigenvalue carry one
    return float((least < -8 * tolerance * around)[seen].mean()) if seen.any() else float("nan")


def height(values: np.ndarray) -> float:
    """log10 of the median of F over a surface; what is not finite counts as higher than the rest."""
    with np.errstate(divide="ignore"):
        return float(np.log10(np.median(np.where(np.isfinite(values), values, np.inf))))


def thresholds(counts: np.ndarray, widths: Sequence[float]) -> np.ndarray:
    """log2 of the smallest width from which on there is one basin at most; counts [..., widths] ascending in width.

    One that would lie beyond the last width is put a factor of 2 beyond it, and one at the first may lie lower: both
    draw two thresholds together, so that a difference between them is never overstated.
    """
    alone = counts <= 1
    onward = np.logical_and.accumulate(alone[..., ::-1], axis=-1)[..., ::-1]
    places = np.log2(np.append(np.asarray(widths, dtype=float), 2 * widths[-1]))
    found: np.ndarray = places[len(widths) - onward.sum(-1)]
    return found


def interval(values: np.ndarray, step: float = 0.0) -> tuple[float, float] | None:
    """Student's interval of the mean over networks [S]; None for one network, or where a value is not finite.

    ``step`` is the resolution of what is counted: a handful of equal counts is no proof of no spread, so that the
    standard deviation is taken to be at least half of it.
    """
    count = values.size
    if count < 2 or not np.isfinite(values).all():
        return None
    spread = max(float(values.std(ddof=1)), step / 2)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread / count**0.5
    return float(values.mean() - half), float(values.mean() + half)


def positive(found: tuple[float, float] | None) -> bool | None:
    """True where an interval lies above zero, False where below, None where it tells neither."""
    if found is None or found[0] <= 0 <= found[1]:
        return None
    return found[0] > 0
