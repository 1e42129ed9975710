"""Parameter vectors in the plane of their first two principal components, and points of curves between knots."""

from __future__ import annotations

import numpy as np
from scipy.special import comb


def principal(points: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Places [n, 2] of points [n, P] about their mean, and the shares of their variance along both axes.

    The largest place along an axis is positive, so that the same points give the same picture.
    """
    x = np.asarray(points, dtype=np.float64)
    x = x - x.mean(axis=0)
    if x.shape[0] <= x.shape[1]:
        variances, vectors = np.linalg.eigh(x @ x.T)
        places = vectors * np.sqrt(np.maximum(variances, 0.0))
    else:
        variances, vectors = np.linalg.eigh(x.T @ x)
        places = x @ vectors
    total = float(np.maximum(variances, 0.0).sum())
    found = np.zeros((len(x), 2))
    shares = [0.0, 0.0]
    for axis, column in enumerate(range(len(variances) - 1, max(len(variances) - 3, -1), -1)):
        along = places[:, column]
        found[:, axis] = along * (1.0 if along[np.argmax(np.abs(along))] >= 0 else -1.0)
        shares[axis] = max(float(variances[column]), 0.0) / total if total > 0 else 0.0
    return found, (shares[0], shares[1])


def along(knots: np.ndarray, t: np.ndarray, curve: str, times: np.ndarray | None = None) -> np.ndarray:
    """Points [m, d] of a "polyline" or "bezier" curve at t [m], from its knots [K, d].

    ``times`` [K] are a polyline's t at its knots, by default equally spaced.
    """
    if curve == "bezier":
        degree = len(knots) - 1
        k = np.arange(degree + 1)
        return (comb(degree, k) * t[:, None] ** k * (1 - t[:, None]) ** (degree - k)) @ knots
    at = np.linspace(0, 1, len(knots)) if times is None else times
    return np.stack([np.interp(t, at, column) for column in knots.T], axis=1)
