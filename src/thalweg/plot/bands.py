"""What both kinds of figure need to know about repeats: their quantiles, the pieces that can be filled, their names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.plot.footer import label_of
from thalweg.records import Slice
from thalweg.records.repeats import quantile

LEGEND = "line: median; dark: middle half; light: all"
"""How a band is read, as printed beside it."""


@dataclass(frozen=True)
class Band:
    """Quantiles over R directions, each [n], NaN where infinite: all lie in [bottom, top], half in [low, high]."""

    bottom: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Band:
        """The band of values [R, n]."""
        found = [quantile(values, q) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return cls(*(np.where(np.isfinite(x), x, np.nan) for x in found))


def shown(record: Slice, name: str = "loss") -> np.ndarray:
    """An array along every direction, what is not finite as NaN, [R, *grid]."""
    values = record.each(name)
    return np.where(np.isfinite(values), values, np.nan)


def drawn(record: Slice) -> np.ndarray:
    """Every value of F that a figure of this slice shows, of training and of test rows, ends of intervals too; flat."""
    names = ["loss", "test_loss"] if record.tested else ["loss"]
    found = np.concatenate([record.each(name).reshape(-1) for name in names])
    if record.sampling is None:
        return found
    ends = np.concatenate([record.data[name].reshape(-1) for name in ("lower", "upper")])
    # an interval that reaches below zero takes no logarithmic scale from a loss that does not
    return np.concatenate([found, ends[ends > 0] if (found > 0).all() else ends])


def along(record: Slice) -> str:
    """What the coordinates of a line count in."""
    if not record.repeats:
        return label_of(record, 0)
    return f"distance along each of {len(record.repeats)} random directions"


def pieces(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The outline of each piece on which both edges are finite, there along the lower and back along the upper."""
    good = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    runs = np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if good.size else []
    return [(np.concatenate([x[r], x[r][::-1]]), np.concatenate([low[r], high[r][::-1]])) for r in runs]
