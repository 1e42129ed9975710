"""A polynomial on [0, 1] from its values at Chebyshev nodes, and its maximum with a proof.

Interpolation in Chebyshev nodes of the first kind amplifies errors of the values by at most the Lebesgue
constant, which for n nodes is below 2/π·log(n) + 1 (Rivlin 1990, chapter 1; tested here up to 65 nodes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev

from thalweg.core.exact.form import NotExactError, Peak

DEPTH = 60
"""Halvings of the segment after which a bound that is not proved is given up."""


def nodes(count: int) -> np.ndarray:
    """The Chebyshev nodes of the first kind in [0, 1], [count]."""
    return 0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


@dataclass(frozen=True, eq=False)
class Polynomial:
    """``coefficients`` of T_0, T_1, … in 2t − 1; values hold up to ``slack``."""

    coefficients: np.ndarray
    slack: float

    def __str__(self) -> str:
        return f"polynomial of degree {len(self.coefficients) - 1} in t"

    @classmethod
    def through(cls, values: np.ndarray, rounding: float) -> Polynomial:
        """The polynomial with these values [n] at ``nodes(n)``, which carry the relative error ``rounding``."""
        n = len(values)
        basis = chebyshev.chebvander(2 * nodes(n) - 1, n - 1)
        coefficients = 2 / n * (values @ basis)
        coefficients[0] /= 2
        lebesgue = 2 / math.pi * math.log(n) + 1
        error = rounding + 4 * n * np.finfo(np.float64).eps
        return cls(coefficients, float((lebesgue + 1) * error * np.abs(values).max()))

    def loosened(self, slack: float) -> Polynomial:
        """The same, with at least this slack."""
        return replace(self, slack=max(self.slack, slack))

    def at(self, ts: np.ndarray) -> np.ndarray:
        """Values at ts."""
        return np.asarray(chebyshev.chebval(2 * np.asarray(ts, dtype=np.float64) - 1, self.coefficients))

    def maximum(self) -> Peak:
        """The largest value on [0, 1]: among the ends and the roots of the derivative, which Newton polishes."""
        first = chebyshev.chebder(self.coefficients)
        second = chebyshev.chebder(first)
        significant = np.abs(first) > np.finfo(np.float64).eps * np.abs(first).max(initial=0.0)
        roots = np.array([])
        if significant.any():
            roots = chebyshev.chebroots(first[: int(np.flatnonzero(significant)[-1]) + 1]).real
        x = np.concatenate([[-1.0, 1.0], np.clip(roots, -1, 1)])
        for _ in range(2):
            step, bend = chebyshev.chebval(x, first), chebyshev.chebval(x, second)
            with np.errstate(divide="ignore", invalid="ignore"):
                moved = np.clip(x - np.nan_to_num(step / bend, nan=0.0, posinf=0.0, neginf=0.0), -1, 1)
            better = chebyshev.chebval(moved, self.coefficients) > chebyshev.chebval(x, self.coefficients)
            x = np.where(better, moved, x)
        values = chebyshev.chebval(x, self.coefficients)
        best = int(np.argmax(values))
        if not self.below(float(values[best]) + self.slack):
            raise NotExactError(f"values above {values[best]:.9g} could not be excluded by halving the segment")
        return Peak(float(0.5 + 0.5 * x[best]), float(values[best]))

    def below(self, level: float) -> bool:
        """Whether the polynomial is proved to stay at or below ``level`` on [0, 1].

        On a part of the segment it is at most c_0 + Σ|c_k| of its expansion there; parts are halved until
        that suffices.
        """
        n = len(self.coefficients)
        x = 2 * nodes(n) - 1
        expand = 2 / n * chebyshev.chebvander(x, n - 1)
        expand[:, 0] /= 2
        middle, half = np.array([0.0]), 1.0
        for _ in range(DEPTH):
            c = chebyshev.chebval(middle[:, None] + half * x, self.coefficients) @ expand
            open_ = c[:, 0] + np.abs(c[:, 1:]).sum(1) > level
            if not open_.any():
                return True
            half /= 2
            middle = np.concatenate([middle[open_] - half, middle[open_] + half])
            if len(middle) > 2**14:
                return False
        return False
