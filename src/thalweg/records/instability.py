"""Instability analysis: how far apart the noise of training drives two copies of a network, against when they part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class InstabilityStatus(Status):
    """From which fork on the network is stable to the noise of training."""

    STABLE = ("Copies that part at the last fork, or before, end in one linearly connected region.",)
    UNSTABLE = (
        "At every fork tried, the copies end with a rise of the error between them.",
        "Try later forks, or a wider network.",
    )
    BUDGET = ("The budget ended training early; forks that were not reached are missing.", "Raise the budget.")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Instability(Record):
    """Error between pairs of copies that part after k steps and train on with their own minibatches.

    Arrays: ``forks`` [f], steps; ``alphas`` [m]; ``errors`` [f, r, m], the value ``field`` on the segment between the
    two copies of each of r pairs; ``ends`` [f, r, 2, P], the copies. The instability of a pair is the largest error on
    its segment less the mean of its two ends'; a fork is stable where its mean is below ``threshold``.
    """

    record_type: ClassVar[str] = "instability"
    required: ClassVar[tuple[str, ...]] = ("forks", "alphas", "errors")

    status: InstabilityStatus
    field: str
    threshold: float
    steps: int
    evaluated_on: str

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: the largest error is that of the points evaluated."""
        return Guarantee.SAMPLED

    @property
    def instability(self) -> np.ndarray:
        """Of each pair, [f, r]."""
        errors = self.data["errors"]
        return errors.max(axis=2) - errors[:, :, [0, -1]].mean(axis=2)

    @property
    def mean(self) -> np.ndarray:
        """Over pairs, [f]."""
        return self.instability.mean(axis=1)

    @property
    def noise(self) -> np.ndarray:
        """Its standard error over pairs, [f]; NaN for a single pair."""
        r = self.instability.shape[1]
        if r < 2:
            return np.full(len(self.data["forks"]), np.nan)
        return self.instability.std(axis=1, ddof=1) / np.sqrt(r)

    @property
    def stable_from(self) -> int | None:
        """The first fork from which on every later one is stable; None where the last is not."""
        stable = self.mean < self.threshold
        if not stable.size or not stable[-1]:
            return None
        unstable = np.flatnonzero(~stable)
        return int(self.data["forks"][0 if not unstable.size else unstable[-1] + 1])

    @property
    def summary(self) -> str:
        """Instability at the first and the last fork, and where it becomes stable."""
        forks, mean = self.data["forks"], self.mean
        if not forks.size:
            return "No fork was reached."
        at = self.stable_from
        verdict = f"stable from step {at:,} on" if at is not None else "not stable at any fork up to the last"
        return (
            f"Copies that part at step {forks[0]:,} rise by {mean[0]:.3g} in {self.field} between them, at step "
            f"{forks[-1]:,} by {mean[-1]:.3g}; {verdict} (threshold {self.threshold:g}, {self.steps:,} steps in all)."
        )
