"""The straight line from where a run starts to where it ends: whether F falls along it, and by how much it rises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective

ROUNDING = 1e-9
"""A rise of F along a line up to this is rounding."""


@dataclass(frozen=True, eq=False)
class LinesToEnd:
    """``values`` [n, T]: F at equidistant points of n lines, from the start to the end.

    Monotone linear interpolation (Goodfellow, Vinyals & Saxe 2015) is that F rises between no two of them, one after
    the other. What lies between the points is not seen.
    """

    values: np.ndarray

    @classmethod
    def between(cls, objective: Objective, starts: Tensor, ends: Tensor, points: int = 51) -> LinesToEnd:
        """From starts to ends [n, P]; normalising layers estimate their statistics anew at every point."""
        view, ts = objective.reporting(), torch.linspace(0, 1, points, dtype=starts.dtype)[:, None]
        return cls(np.stack([view.losses(a + ts * (b - a)).numpy() for a, b in zip(starts, ends, strict=True)]))

    @property
    def rise(self) -> np.ndarray:
        """The largest rise of F from a point to a later one, [n]."""
        found: np.ndarray = (self.values - np.minimum.accumulate(self.values, axis=1)).max(1)
        return found

    @property
    def trained(self) -> np.ndarray:
        """Whether the end has less than half of the start's F, bool [n]; on other lines little is to be seen."""
        found: np.ndarray = self.values[:, -1] < self.values[:, 0] / 2
        return found

    @property
    def monotone(self) -> np.ndarray:
        """Whether the line is of a run that trained, and does not rise, bool [n]."""
        found: np.ndarray = self.trained & (self.rise <= ROUNDING)
        return found


def share_rising(lines: Sequence[LinesToEnd]) -> np.ndarray:
    """The share of the lines of each start that rise, of those of runs that trained; NaN where none did, [n].

    Every item holds the same n starts, line by line, under one setting.
    """
    trained = np.sum([x.trained for x in lines], axis=0)
    failed = np.sum([x.trained & ~x.monotone for x in lines], axis=0)
    return np.divide(failed, trained, out=np.full(np.shape(trained), np.nan), where=trained > 0)
