"""First passages in reproductions: their medians with intervals, and slopes of one quantity against another."""

from __future__ import annotations

import numpy as np

from thalweg.records.reproductions import Panel
from thalweg.records.survival import Survival
from thalweg.reproductions.parts import side_by_side


def median(steps: np.ndarray, seen: np.ndarray | None = None) -> tuple[float, tuple[float, float]]:
    """The median of passage times [N] and its interval of 95 %; those not ``seen`` were censored at their time.

    NaN where fewer than half have passed, and an open side of the interval is infinite.
    """
    survival = Survival.of(steps, np.ones(len(steps), dtype=bool) if seen is None else seen)
    low, high = survival.interval()
    found = survival.median
    return (
        np.nan if found is None else found,
        (0.0 if low is None else low, np.inf if high is None else high),
    )


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The slope of y [N] on x [N] by least squares, and its standard error."""
    at = x - x.mean()
    found = float(at @ y / (at @ at))
    rest = y - y.mean() - found * at
    return found, float(np.sqrt((rest @ rest) / max(len(x) - 2, 1) / (at @ at)))


def slope_error(x: np.ndarray, errors: np.ndarray) -> float:
    """The standard error of the slope on x [N] of values whose own standard errors [N] are known and independent."""
    at = x - x.mean()
    return float(np.sqrt(at**2 @ errors**2) / (at @ at))


def panels_of_times(sheet: str, *kinds: tuple[str, str, str]) -> tuple[Panel, ...]:
    """Simulated times, exact ones and those of Kramers' formula: a kind's name, title and what it is drawn against.

    A kind's arrays are ``x``, ``points``, ``exact`` and ``formula`` behind its name.
    """
    labels, found = ("simulated", "exact", "Kramers"), list[Panel]()
    for i, (kind, title, text) in enumerate(kinds):
        arrays = [f"{kind}.{n}" for n in ("points", "exact", "formula")]
        found += side_by_side(sheet, f"{kind}.x", (title, arrays, labels), text=text, first=i)
    return tuple(found)
