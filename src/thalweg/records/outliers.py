"""Outliers of a spectrum: how many eigenvalues stand apart, and what the classes have to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class OutlierStatus(Status):
    """Whether a gap stands out."""

    GAP = ("One ratio of neighbouring eigenvalues stands out: those above it are the outliers.",)
    NO_GAP = (
        "No ratio of neighbouring eigenvalues stands out, so that the number of outliers is not defined here.",
        "Read the class means instead, or take more eigenvalues.",
    )
    NONFINITE = (
        "A product was NaN or infinite, so nothing is claimed.",
        "Check that F and its gradient are finite at this point.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Outliers(Record):
    """The top of a spectrum with its largest gap.

    Arrays: ``eigenvalues`` [k], descending; ``ratios`` [k − 1], each over the next; ``overlap`` [k], the squared cosine
    of each eigenvector with the gradient; for a classifier ``class_means`` [C], the eigenvalues of the part of the
    Gauss–Newton matrix that the class means make. ``count`` are the eigenvalues above the largest ratio, which is
    ``gap``; ``next_gap`` is the second largest.
    """

    record_type: ClassVar[str] = "outliers"
    required: ClassVar[tuple[str, ...]] = ("eigenvalues", "ratios", "overlap")

    status: OutlierStatus
    operator: str
    size: int
    count: int
    gap: float
    next_gap: float
    classes: int | None = None
    dense: bool = True

    @property
    def guarantee(self) -> Guarantee | None:
        """EXACT from the dense matrix, else ADAPTIVE: a Krylov space may have missed an eigenvalue."""
        if self.status is OutlierStatus.NONFINITE:
            return None
        return Guarantee.EXACT if self.dense else Guarantee.ADAPTIVE

    @property
    def explained(self) -> float:
        """The share of the gradient's square that lies in the outliers' eigenvectors."""
        return float(np.sum(self.data["overlap"][: self.count]))

    @property
    def summary(self) -> str:
        """How many, how clear, and how much of the gradient they hold."""
        if self.status is OutlierStatus.NONFINITE:
            return f"Nothing is known of the spectrum of the {self.operator}."
        if self.status is OutlierStatus.NO_GAP:
            return (
                f"No gap stands out among {self.data['eigenvalues'].size} eigenvalues of the {self.operator}; the "
                f"largest ratio is {self.gap:.3g}, after {self.count}."
            )
        return (
            f"{self.count} outliers of the {self.operator}: the next eigenvalue is {self.gap:.3g} times smaller (the "
            f"second largest ratio is {self.next_gap:.3g}); they hold {self.explained:.0%} of the gradient's square."
        )
