"""What a closed form of F along a segment offers, and the reason where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class NotExactError(Exception):
    """There is no closed form; the message is the reason, in words that follow "because"."""


@dataclass(frozen=True)
class Peak:
    """The largest value of a closed form on [0, 1] and where it is."""

    t: float
    value: float


class ClosedForm(Protocol):
    """F along a segment without evaluating it; values hold up to ``slack``."""

    @property
    def slack(self) -> float:
        """The largest difference from F in float64 that rounding is allowed."""

    def loosened(self, slack: float) -> ClosedForm:
        """The same, with at least this slack."""

    def at(self, ts: np.ndarray) -> np.ndarray:
        """F at ts [n], float64 [n]."""

    def maximum(self) -> Peak:
        """The largest value on [0, 1].

        Raises
        ------
        NotExactError
            If something above it, by more than rounding, could not be excluded.
        """
