"""The largest value of a function on [0, 1], by a cubic spline that is refined where it is high or uncertain.

Every new point is predicted before it is evaluated; what the prediction missed is the error of its interval. The
answer is an estimate: a peak between two points of which the values there give no sign is not found.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

FIRST = 9
"""Evenly spaced points of the first round."""

ROUND = 4
"""Points of every later round: the peak, one on either side of it, and the most promising interval elsewhere."""

ORDER = 2
"""The power of an interval's width by which its error shrinks: a spline's is 4 where F is smooth, ReLUs have kinks."""

CLOSE = 1e-3
"""Points are no closer than this share of the interval that holds the peak."""


@dataclass(frozen=True, eq=False)
class Search:
    """The points evaluated [n], in order, F there, and how far above the largest value F is estimated to go."""

    ts: np.ndarray
    values: np.ndarray
    remaining: float


def search(values: Callable[[np.ndarray], np.ndarray], tol: float, most: int) -> Search:
    """Refine ``values(ts [n]) -> [n]`` until the remaining error is estimated at ``tol``·max|F| or less.

    ``remaining`` is larger than that where ``most`` points did not suffice, and infinite where they are too few
    for a spline or a value is not finite.
    """
    t = np.linspace(0.0, 1.0, max(2, min(FIRST, most)))
    f = values(t)
    error = np.full(len(t) - 1, np.nan)  # of an interval once a prediction in it, or in what it is part of, was tested
    while True:
        if len(t) < 4 or not np.isfinite(f).all():
            return Search(t, f, float("inf"))
        spline = CubicSpline(t, f)
        where, height = _peaks(spline, t, f)
        middle = (t[1:] + t[:-1]) / 2
        untested = np.abs(spline(middle) - PchipInterpolator(t, f)(middle))
        hope = height + np.where(np.isnan(error), untested, error)
        remaining = float(max(hope.max() - f.max(), 0.0))
        if remaining <= tol * np.abs(f).max() or len(t) >= most:
            return Search(t, f, remaining)
        new = _next(t, where, height, hope)[: most - len(t)]
        if not len(new):
            return Search(t, f, remaining)
        found = values(new)
        joined = np.concatenate([t, new])
        order = np.argsort(joined)
        error = _errors(t, joined[order], error, new, np.abs(found - spline(new)))
        t, f = joined[order], np.concatenate([f, found])[order]


def _peaks(spline: CubicSpline, t: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the spline is highest in each interval, and how high."""
    where, height = np.where(f[1:] >= f[:-1], t[1:], t[:-1]), np.maximum(f[1:], f[:-1])
    roots = np.asarray(spline.derivative().roots(extrapolate=False))
    roots = roots[np.isfinite(roots)]
    for x, y in zip(roots, spline(roots), strict=True):
        i = _interval(t, x)
        if y > height[i]:
            where[i], height[i] = x, y
    return where, height


def _next(t: np.ndarray, where: np.ndarray, height: np.ndarray, hope: np.ndarray) -> np.ndarray:
    """The points of the next round that are not too close to one another or to those there are."""
    top = int(np.argmax(height))
    width = t[top + 1] - t[top]
    asked = [float(np.clip(x, 0.0, 1.0)) for x in where[top] + width / 4 * np.array([0.0, -1.0, 1.0])]
    elsewhere = hope.copy()
    elsewhere[[_interval(t, x) for x in asked]] = -np.inf
    other = int(np.argmax(elsewhere))
    chosen: list[float] = []
    for x in (*asked, (t[other] + t[other + 1]) / 2):
        if np.abs(np.concatenate([t, chosen]) - x).min() > CLOSE * width:
            chosen.append(float(x))
    return np.array(chosen)


def _errors(
    before: np.ndarray, after: np.ndarray, error: np.ndarray, new: np.ndarray, missed: np.ndarray
) -> np.ndarray:
    """The error of each interval after a round: what was missed in the interval it came from, for its width."""
    found = np.empty(len(after) - 1)
    for k, (low, high) in enumerate(itertools.pairwise(after)):
        old = _interval(before, low)
        inside = (new > before[old]) & (new < before[old + 1])
        share = (high - low) / (before[old + 1] - before[old])
        found[k] = missed[inside].max() * share**ORDER if inside.any() else error[old]
    return found


def _interval(t: np.ndarray, x: float) -> int:
    return int(np.clip(np.searchsorted(t, x, side="right") - 1, 0, len(t) - 2))
