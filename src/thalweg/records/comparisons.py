"""Two models beside each other: what the choice of directions leaves of their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.repeats import quantile
from thalweg.records.status import Status


class ComparisonStatus(Status):
    """What a comparison of two models over random directions found."""

    DIFFERENT = ("The difference between the models exceeds the spread over directions.",)
    ALIKE = (
        "The difference between the models does not exceed the spread over directions.",
        "That is no proof of sameness: more directions (repeats=…) would show a smaller difference.",
    )
    TOO_FEW = (
        "With so few directions no difference could be told from their spread at this level.",
        "Draw more of them (repeats=…), at least 4 for each model at 5 %.",
    )


@dataclass(frozen=True, slots=True)
class Contrast:
    """One number per direction, of two models: their medians, and how often one of the first exceeds one of the second.

    superiority: P(first > second) + ½·P(equal) over all pairs of directions; ½ says nothing, 0 and 1 separate them.
    p: adjusted for everything that was tested together.
    """

    name: str
    first: float
    second: float
    superiority: float
    p: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.first:.4g} and {self.second:.4g} (medians), first above second in "
            f"{self.superiority:.0%} of pairs, p = {self.p:.2g}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison(Record):
    """The rise of F around two models, over random directions of each.

    Arrays: ``distances`` [m]; ``rise_first`` [Ra, m] and ``rise_second`` [Rb, m], each direction's mean rise there;
    ``p`` [m], the p-value of the difference at each distance. All p-values are of one permutation test of ranks and are
    adjusted for the maximum over all that was tested (Westfall & Young 1993), so that under the hypothesis of no
    difference any of them falls below ``level`` at most that often. ``permutations`` were all there are where
    ``exhaustive``, and drawn otherwise.
    """

    record_type: ClassVar[str] = "comparison"
    required: ClassVar[tuple[str, ...]] = ("distances", "rise_first", "rise_second", "p")

    status: ComparisonStatus
    names: tuple[str, str]
    contrasts: tuple[Contrast, ...]
    p_value: float
    level: float
    permutations: int
    exhaustive: bool

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: a statement about directions, from those that were drawn."""
        return Guarantee.SAMPLED

    def median(self, which: int) -> np.ndarray:
        """The median rise of the first (0) or the second (1) model, [m]."""
        return quantile(self.data[("rise_first", "rise_second")[which]], 0.5)

    def band(self, which: int, low: float = 0.25, high: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
        """Two quantiles over the directions of the first (0) or the second (1) model, each [m]."""
        rise = self.data[("rise_first", "rise_second")[which]]
        return quantile(rise, low), quantile(rise, high)

    @property
    def summary(self) -> str:
        """Whether the models differ by more than the directions do, with the p-value and the numbers."""
        first, second = (len(self.data[f"rise_{which}"]) for which in ("first", "second"))
        kind = "exact" if self.exhaustive else f"from {self.permutations:,} permutations"
        verb = "exceeds" if self.status is ComparisonStatus.DIFFERENT else "does not exceed"
        return (
            f"The difference between {self.names[0]} and {self.names[1]} {verb} the spread over {first} and {second} "
            f"directions (p = {self.p_value:.2g}, {kind}). {'; '.join(str(c) for c in self.contrasts)}."
        )
