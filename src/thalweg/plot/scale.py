"""Which colour scale a surface is drawn with, decided from its values and named on the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOG_RATIO = 30.0
"""Positive values whose largest is more than this many times the smallest are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Scale:
    """The scale's name, its finite range, and whether it is logarithmic."""

    low: float
    high: float
    log: bool

    @property
    def name(self) -> str:
        """As printed on the colour bar."""
        return "log scale" if self.log else "linear scale"

    def levels(self, count: int = 18) -> np.ndarray:
        """Contour levels, increasing, from low to high."""
        if self.log:
            return np.geomspace(self.low, self.high, count)
        return np.linspace(self.low, self.high, count)


def scale_of(values: np.ndarray) -> Scale:
    """The scale for these values; a constant surface gets a small range around its value."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if high <= low:
        room = abs(low) * 1e-6 + 1e-12
        return Scale(low - room, high + room, log=False)
    return Scale(low, high, log=low > 0 and high / low > LOG_RATIO)
