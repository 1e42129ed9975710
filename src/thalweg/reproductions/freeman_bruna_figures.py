"""Figures 2 and 3 of Freeman & Bruna 2017 as numbers, read from the vector figures, and how agreement is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

from thalweg.records import Finding

Task = Literal["quadratic", "cubic"]
TASKS: tuple[str, ...] = get_args(Task)

LENGTH: Mapping[str, Mapping[float, tuple[float, float]]] = {
    "quadratic": {
        0.001: (1.863, 0.155), 0.0025: (1.753, math.nan), 0.005: (1.661, math.nan), 0.0075: (1.650, math.nan),
        0.01: (1.476, 0.105), 0.025: (1.329, 0.07), 0.05: (1.366, 0.09), 0.075: (1.291, math.nan),
        0.1: (1.346, math.nan), 0.125: (1.270, 0.05),
    },
    "cubic": {
        0.01: (1.872, math.nan), 0.05: (1.428, math.nan), 0.1: (1.382, math.nan), 0.2: (1.004, math.nan),
        0.32: (1.003, math.nan),
    },
    "MNIST": {
        0.007: (1.071, math.nan), 0.0075: (1.047, math.nan), 0.008: (1.026, math.nan), 0.01: (1.016, math.nan),
        0.02: (1.005, math.nan), 0.04: (1.003, math.nan),
    },
}  # fmt: skip
"""Normalised length with half its error bar where that was read; levels of MNIST are shares of wrong test digits."""

BEADS: Mapping[str, Mapping[float, float]] = {
    "quadratic": {
        0.001: 62.4, 0.0025: 38.3, 0.005: 23.5, 0.0075: 18.8, 0.01: 13.8, 0.025: 8.17, 0.05: 6.81, 0.075: 5.40,
        0.1: 5.04, 0.125: 3.98,
    },
    "cubic": {0.01: 46.3, 0.05: 14.1, 0.1: 7.61, 0.2: 3.20, 0.32: 3.11},
    "MNIST": {0.007: 7.12, 0.0075: 6.63, 0.008: 6.00, 0.01: 5.48, 0.02: 4.79, 0.04: 4.09},
}  # fmt: skip
"""Number of beads with both ends, digitised likewise."""

SHARE = 0.12
"""A mean agrees within this share of the published one, or within two combined standard errors."""

RULE = f"within {SHARE:.0%} of the published mean, or within two combined standard errors"


def published(name: str, task: str, level: float) -> tuple[float, float]:
    """The published mean of ``name`` ("length" or "beads") and half its error bar; NaN of what was not published."""
    if name == "length":
        return LENGTH[task].get(level, (math.nan, math.nan))
    return BEADS[task].get(level, math.nan), math.nan


def finding(claim: str, source: str, ours: float, error: float, theirs: float, bar: float) -> Finding:
    """A mean with its standard error beside the published one with its bar."""
    known, found = math.isfinite(theirs), math.isfinite(ours)
    both = 2 * math.hypot(error if math.isfinite(error) else 0.0, bar if math.isfinite(bar) else 0.0)
    agrees = abs(ours - theirs) <= max(SHARE * theirs, both) if known and found else (False if known else None)
    interval = (ours - 2 * error, ours + 2 * error) if math.isfinite(error) else None
    return Finding(claim, source, theirs if known else None, ours, interval, agrees)
