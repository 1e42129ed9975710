"""Random unit vectors, and intervals from what they show."""

from __future__ import annotations

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from thalweg.core.rng import Stream

LEVEL = 0.99
"""The coverage that every stated interval aims at."""


def sphere(size: int, count: int, rng: Stream, first: int = 0) -> Tensor:
    """``count`` independent uniform unit vectors from number ``first`` on, each of its own substream; [count, size]."""
    found = torch.empty(count, size, dtype=torch.float64)
    for i, row in enumerate(found, first):
        torch.randn(size, generator=rng("probe", i).torch(), dtype=torch.float64, out=row)
    return found.div_(found.norm(dim=1, keepdim=True).clamp_min(1e-12))


def mean_error(samples: np.ndarray) -> float:
    """The standard error of the mean of independent samples [m]; infinite for one."""
    if len(samples) < 2:
        return float("inf")
    return float(np.std(samples, ddof=1) / np.sqrt(len(samples)))


def interval(value: float, error: float, freedom: int, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval around a mean with its standard error and degrees of freedom."""
    if not np.isfinite(error):
        return float("-inf"), float("inf")
    reach = float(stats.t.ppf((1 + level) / 2, freedom)) * error if error else 0.0
    return value - reach, value + reach


def share(low: np.ndarray, high: np.ndarray, size: int, probes: int, level: float = LEVEL) -> np.ndarray:
    """Bounds of the share of eigenvalues in a set, from bounds of the probes' mean mass there; [2, q].

    The mass that a uniform unit vector gives to k of n eigenvectors has the law Beta(k/2, (n − k)/2). The mean over
    probes is taken as Beta of as many times both (same mean, variance within 2/n): the bounds are those k at which
    the mean mass would be as small, or as large, with probability (1 − level)/2.
    """
    tail = (1 - level) / 2
    least, most = np.zeros_like(low), np.ones_like(high)
    for limit, mass, side in ((least, low, "low"), (most, high, "high")):
        a, b = np.zeros_like(mass), np.ones_like(mass)
        for _ in range(60):  # bisection in the share; the distribution function falls as the share grows
            middle = (a + b) / 2
            below = special.betainc(
                np.maximum(probes * middle * size / 2, 1e-12), np.maximum(probes * (1 - middle) * size / 2, 1e-12), mass
            )
            enough = below > 1 - tail if side == "low" else below > tail
            a, b = np.where(enough, middle, a), np.where(enough, b, middle)
        limit[:] = a if side == "low" else b
    return np.stack([np.where(low <= 0, 0.0, least), np.where(high >= 1, 1.0, most)])
