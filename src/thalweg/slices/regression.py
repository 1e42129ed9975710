"""The mean over all rows from some of them and the known means of other columns: the regression estimator."""

from __future__ import annotations

import numpy as np
from scipy import stats

from thalweg.core.rng import Stream

SWEEPS = 50
"""Steps of Lloyd's iteration; on a grid it stands still long before."""


class Regression:
    """The regression estimator of a mean, and half of its interval.

    ``some`` [k, n] are the known columns on the n sampled rows, ``means`` [k] their means over all ``count`` rows. A
    column's values y [n] are regressed on them with an intercept; the estimate is a weighted mean with the weights
    g_i / n, which depend on the known columns alone. Its variance is the delete-one jackknife's: for this estimator
    (1 − n/count)·(n − 1)/n · Σ (g_i e_i / (n (1 − h_i)))², with residuals e and leverages h. It weights residuals as
    Särndal, Swensson & Wretman 1989 do and corrects their leverage as HC3 does (MacKinnon & White 1985); without known
    columns it is the textbook variance of a mean. Student's quantile has n − k − 1 degrees of freedom.
    """

    def __init__(self, some: np.ndarray, means: np.ndarray, count: int, level: float) -> None:
        self.anchors, n = some.shape
        size = np.abs(some).max(axis=1, keepdims=True, initial=0.0)
        size = np.where(size > 0, size, 1.0)  # columns of any units count alike when small directions are dropped
        self.columns = ((some - some.mean(1, keepdims=True)) / size).T
        self.inverse = np.linalg.pinv(self.columns, rcond=1e-10)
        away = (means - some.mean(1)) / size[:, 0]
        leverage = 1 / n + np.einsum("ik,ki->i", self.columns, self.inverse)
        self.weights = (1 + n * away @ self.inverse) / n
        self.scale = self.weights / np.maximum(1 - leverage, 1e-12)
        self.factor = stats.t.ppf(0.5 + level / 2, n - self.anchors - 1) * np.sqrt((1 - n / count) * (n - 1) / n)

    def __call__(self, y: np.ndarray) -> tuple[float, float]:
        """The estimate of the mean over all rows and half of its interval; y float64 [n]."""
        centred = y - y.mean()
        residual = centred - self.columns @ (self.inverse @ centred)
        return float(y.mean() + self.weights @ centred), float(self.factor * np.linalg.norm(self.scale * residual))


def spread(shape: tuple[int, ...], k: int, rng: Stream) -> np.ndarray:
    """Where k points of a grid lie that each are near the middle of their own part of it; indices in order.

    Lloyd's iteration (Lloyd 1982) from points drawn at random.
    """
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    places = np.stack(axes, -1).reshape(-1, len(shape))
    if k == 0:
        return np.empty(0, dtype=int)
    centres = places[rng.numpy().permutation(len(places))[:k]]
    for _ in range(SWEEPS):
        nearest = _apart(places, centres).argmin(1)
        parts = [places[nearest == i] for i in range(len(centres))]
        moved = np.array([part.mean(0) if len(part) else c for part, c in zip(parts, centres, strict=True)])
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.unique(_apart(places, centres).argmin(0))


def _apart(places: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances, [places, centres]."""
    return ((places[:, None] - centres) ** 2).sum(-1)
