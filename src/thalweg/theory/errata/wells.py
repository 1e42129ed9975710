"""x⁴ − 2x² + cx + y²: one well or two, its critical points from a cubic, its sublevel sets from a grid."""

from __future__ import annotations

import numpy as np

from thalweg.topology import sublevel


def bad_minima(c: float) -> int:
    """Strict local minima that are not global, from the roots of 4x³ − 4x + c."""
    roots = np.roots([4.0, 0.0, -4.0, c])
    real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    least = [x for x in real if 12 * x**2 - 4 > 0]
    values = [_well(x, c) for x in least]
    return int(np.sum(np.array(values) > min(values) + 1e-9))


def spurious_valleys(c: float) -> int:
    """Components of sublevel sets, as the level rises, that are born above the global minimum, on a grid."""
    x, y = np.linspace(-1.8, 1.8, 361), np.linspace(-1, 1, 21)
    tree = sublevel(_well(x[:, None], c) + y[None, :] ** 2)
    return int((tree.births > tree.births.min() + 1e-9).sum())


def _well(x: np.ndarray | float, c: float) -> np.ndarray:
    return np.asarray(x) ** 4 - 2 * np.asarray(x) ** 2 + c * np.asarray(x)
