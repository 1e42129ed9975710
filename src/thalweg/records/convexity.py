"""Curvature over a slice: how its arrays are read, and what they say in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Convexity:
    """How the extreme eigenvalues at the points of a slice were found.

    A point counts as converged where both residuals ‖Av − λv‖ are at most ``tol`` times its largest |eigenvalue|.
    ``slack`` is the rounding of the products relative to that eigenvalue, below which a sign says nothing.
    """

    operator: str
    tol: float
    slack: float


def ratio(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """|smallest / largest| eigenvalue (Li et al. 2018, §6), like the grid; NaN where they did not converge."""
    with np.errstate(all="ignore"):
        return np.where(settled(data), np.abs(data["smallest"] / data["largest"]), np.nan)


def settled(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where both extreme eigenvalues converged, bool."""
    return np.asarray(data["converged"], dtype=bool) & np.isfinite(data["smallest"])


def downward(data: Mapping[str, np.ndarray], slack: float) -> np.ndarray:
    """Where some direction is sure to curve downwards, bool: a Ritz value is never below the smallest eigenvalue."""
    with np.errstate(invalid="ignore"):
        return data["smallest"] < -slack * np.maximum(np.abs(data["largest"]), np.abs(data["smallest"]))


def told(data: Mapping[str, np.ndarray], how: Convexity) -> str:
    """The ranges of both eigenvalues, their ratio, where F curves downwards, and what did not converge."""
    good = settled(data)
    if not good.any():
        return f"No extreme eigenvalue of the {how.operator} converged."
    said = [
        f"the {name} eigenvalue is between {data[name][good].min():.3g} and {data[name][good].max():.3g}"
        for name in ("largest", "smallest")
    ]
    shares = ratio(data)[good]
    down = int(np.count_nonzero(downward(data, how.slack)))
    lost = int(np.count_nonzero(~good))
    text = (
        f"Of the {how.operator}, {said[0]} and {said[1]}; |smallest/largest| is {np.median(shares):.2g} in the median "
        f"and at most {shares.max():.2g}, and {down:,} of {good.size:,} points have a direction that curves downwards."
    )
    return text + (f" At {lost:,} points they did not converge." if lost else "")
