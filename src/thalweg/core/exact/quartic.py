"""F as a piecewise quartic: one layer of ReLUs whose argument is affine in t, a linear layer, squared loss.

Each unit of each row has at most one kink on the segment. Between kinks every output is a quadratic in t, whose
coefficients change at a kink by a known jump; F changes there by a quartic. One sort of all kinks and one
cumulative sum give F everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from thalweg.core.exact.form import NotExactError, Peak

HALVINGS = 60
"""Halvings of a piece after which its maximum is given up."""

_CHOOSE = np.array(
    [[1, 0, 0, 0, 0], [1, 1 / 4, 0, 0, 0], [1, 1 / 2, 1 / 6, 0, 0], [1, 3 / 4, 1 / 2, 1 / 4, 0], [1, 1, 1, 1, 1]]
)
"""From coefficients of s^k to Bernstein coefficients of degree 4: C(i, k) / C(4, k)."""


@dataclass(frozen=True, eq=False)
class PiecewiseQuartic:
    """``coefficients`` [m + 1, 5] of 1, t, … t⁴ between the sorted ``kinks`` [m]; values hold up to ``slack``."""

    kinks: np.ndarray
    coefficients: np.ndarray
    slack: float

    def __str__(self) -> str:
        return f"quartic in t between {len(self.kinks):,} kinks"

    def loosened(self, slack: float) -> PiecewiseQuartic:
        """The same, with at least this slack."""
        return replace(self, slack=max(self.slack, slack))

    def at(self, ts: np.ndarray) -> np.ndarray:
        """Values at ts, each by lookup."""
        t = np.asarray(ts, dtype=np.float64)
        return _horner(self.coefficients[np.searchsorted(self.kinks, t, side="right")], t)

    def maximum(self) -> Peak:
        """The largest value on [0, 1].

        A piece is at most its largest Bernstein coefficient. Pieces that cannot hold the maximum are dropped,
        the others are halved until none is left by more than the rounding of the values.
        """
        low = np.concatenate([[0.0], self.kinks])
        width = np.diff(np.concatenate([low, [1.0]]))
        c = _bernstein(self.coefficients, low, width)
        piece = np.arange(len(c))
        t, value = 0.0, -np.inf
        for _ in range(HALVINGS):
            at = int(np.argmax(c[:, [0, 4]].max(1)))
            if c[at, [0, 4]].max() > value:
                place = low[at] if c[at, 0] >= c[at, 4] else low[at] + width[at]
                t, value = self._polished(int(piece[at]), float(place))
            open_ = c.max(1) > value + 0.01 * self.slack
            if not open_.any():
                return Peak(t, value)
            c, low, width, piece = c[open_], low[open_], width[open_] / 2, piece[open_]
            left, right = _halved(c)
            c = np.concatenate([left, right])
            low, width, piece = np.concatenate([low, low + width]), np.tile(width, 2), np.tile(piece, 2)
        raise NotExactError(f"values above {value:.9g} could not be excluded by halving pieces {HALVINGS} times")

    def _polished(self, piece: int, t: float) -> tuple[float, float]:
        """The larger of the value at t and at the critical point of the piece that Newton finds from there."""
        c = self.coefficients[piece]
        low = 0.0 if piece == 0 else float(self.kinks[piece - 1])
        high = 1.0 if piece == len(self.kinks) else float(self.kinks[piece])
        first = c[1:] * np.arange(1, 5)
        second = first[1:] * np.arange(1, 4)
        best, value, x = t, float(_horner(c, t)), t
        for _ in range(4):
            bend = float(_horner(second, x))
            if bend == 0:
                break
            x = min(max(x - float(_horner(first, x)) / bend, low), high)
            if _horner(c, x) > value:
                best, value = x, float(_horner(c, x))
        return best, value


def cumulative(x: np.ndarray) -> np.ndarray:
    """Sums of x [m, …] along the first axis, [m + 1, …], with the rounding of every addition added back.

    The error is one rounding of the result plus terms of second order, however many numbers are added and
    however much of them cancels (Ogita, Rump & Oishi 2005, Sum2).
    """
    total = np.zeros((len(x) + 1, *x.shape[1:]))
    np.cumsum(x, axis=0, out=total[1:])
    before, after = total[:-1], total[1:]
    added = after - before
    lost = (before - (after - added)) + (x - added)
    total[1:] += np.cumsum(lost, axis=0)
    return total


def _horner(c: np.ndarray, t: np.ndarray | float) -> np.ndarray:
    """Σ c[…, k]·t^k."""
    found = c[..., -1]
    for k in range(c.shape[-1] - 2, -1, -1):
        found = found * t + c[..., k]
    return np.asarray(found)


def _bernstein(c: np.ndarray, low: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Bernstein coefficients [m, 5] of quartics c [m, 5] on [low, low + width]."""
    shifted = c.copy()
    for first in range(4):  # repeated synthetic division: coefficients of powers of t − low
        for k in range(3, first - 1, -1):
            shifted[:, k] += low * shifted[:, k + 1]
    scaled = shifted * width[:, None] ** np.arange(5)
    return np.asarray(scaled @ _CHOOSE.T)


def _halved(c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bernstein coefficients on the left and right halves (de Casteljau)."""
    left, right = np.empty_like(c), np.empty_like(c)
    for k in range(5):
        left[:, k], right[:, 4 - k] = c[:, 0], c[:, -1]
        c = (c[:, :-1] + c[:, 1:]) / 2
    return left, right
