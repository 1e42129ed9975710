"""Better than one solution: the best point of a path on rows that did not train it, and ensembles on one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class SearchStatus(Status):
    """Whether a path holds a better point than its ends."""

    BETTER = ("A point of the path was chosen on some rows and is better than both ends on others.",)
    CHOSEN_ONLY = (
        "A point of the path is better on the rows that chose it, and not on the others: nothing is gained.",
        "Give more test rows.",
    )
    NO_BETTER = ("No evaluated point of the path is better than its better end on the rows that choose.",)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PathSearch(Record):
    """The best point of a path by a value on held-out rows.

    Arrays: ``t`` [m]; ``choosing`` [m] and ``judging`` [m], the value ``by`` on the rows that choose and on those that
    judge; ``theta`` [P], the point chosen. ``best`` is its index in t. A loss is better the lower, a metric the higher.
    """

    record_type: ClassVar[str] = "path_search"
    required: ClassVar[tuple[str, ...]] = ("t", "choosing", "judging", "theta")

    status: SearchStatus
    by: str
    best: int
    chosen_on: int
    judged_on: int

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: the values are those at the listed points of the path."""
        return Guarantee.SAMPLED

    @property
    def t(self) -> float:
        """Where on the path the chosen point lies."""
        return float(self.data["t"][self.best])

    @property
    def gain(self) -> float:
        """How much better than the better end the chosen point is on the rows that judge; negative if worse."""
        judging = self.data["judging"]
        ends = judging[[0, -1]]
        if self.by == "loss":
            return float(ends.min() - judging[self.best])
        return float(judging[self.best] - ends.max())

    @property
    def summary(self) -> str:
        """Where the best point lies, and what it gains on rows that did not choose it."""
        first, last, here = (float(self.data["judging"][i]) for i in (0, -1, self.best))
        return (
            f"By {self.by} on {self.chosen_on:,} rows the point at t = {self.t:.3g} is best; on {self.judged_on:,} "
            f"other rows it has {here:.4g}, the ends {first:.4g} and {last:.4g} (gain {self.gain:+.3g})."
        )


class EnsembleStatus(Status):
    """How ensembles were had."""

    COMPLETE = ("Every network was trained for all of its steps.",)
    BUDGET = ("The budget ended training early; the ensembles are of what was reached.", "Raise the budget.")


@dataclass(frozen=True, slots=True)
class EnsembleRow:
    """One ensemble: averaged class probabilities of ``members`` networks.

    ``gradients`` is what training them took, in full-data gradients. ``error`` and ``nll`` are the share of wrong rows
    and the mean negative log-likelihood of the ensemble; ``single_error`` is the members' mean error.
    """

    method: str
    runs: int
    members: int
    gradients: float
    error: float
    nll: float
    single_error: float
    single_nll: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Ensembles(Record):
    """Cyclic-rate ensembles beside independent networks, on the same number of training runs.

    Arrays: ``independent`` [r, P], the networks at the end of r runs; ``cyclic`` [r, k, P], those collected in each.
    """

    record_type: ClassVar[str] = "ensembles"
    required: ClassVar[tuple[str, ...]] = ("independent", "cyclic")

    status: EnsembleStatus
    rows: tuple[EnsembleRow, ...]
    evaluated_on: str

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: errors on the rows at hand."""
        return Guarantee.SAMPLED

    @property
    def error_noise(self) -> float:
        """The standard error of an error rate on these rows, for the rate of the first row's ensemble."""
        rows = max(int(self.data["count"]), 1)
        p = self.rows[0].error
        return float(np.sqrt(p * (1 - p) / rows))

    @property
    def summary(self) -> str:
        """Errors of both on the largest number of runs."""
        runs = max(row.runs for row in self.rows)
        said = [
            f"{row.method}: error {row.error:.3%} with {row.members} networks (one alone {row.single_error:.3%})"
            for row in self.rows
            if row.runs == runs
        ]
        return f"On the work of {runs} run{'s' if runs != 1 else ''}, {self.evaluated_on} rows: {'; '.join(said)}."
