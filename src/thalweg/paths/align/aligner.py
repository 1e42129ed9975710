"""What every method of alignment does around its search: symmetries, checks, distances and barriers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.core.tree import leaves
from thalweg.errors import InputError
from thalweg.paths.align.find import moved, relative, risk_of, symmetries
from thalweg.paths.align.symmetries import Symmetries
from thalweg.paths.barrier import Barrier
from thalweg.records import Alignment, AlignmentStatus, Matched

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Largest change of an output, over the largest output, by dtype; 1e-2 for coarser ones."""

ROWS = 1024
"""Rows on which the outputs of the aligned point are compared with those of the point as it was."""


@dataclass(frozen=True)
class Found:
    """What a search came to: permutations by group, signs and scales, and what to say of it."""

    permutations: Mapping[str, np.ndarray]
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aligner(ABC):
    """Base of every method: the units of b are put into the order of a's; b's function stays what it is.

    ``skip`` leaves groups out by name. ``tolerance`` is the largest relative change of outputs that is accepted
    (None: 1e-9 in float64, 1e-5 in float32). ``steps`` are the intervals of the profiles.
    """

    name: ClassVar[str]

    skip: tuple[str, ...] = ()
    tolerance: float | None = None
    steps: int = 30

    @abstractmethod
    def search(self, work: Work, rng: Stream) -> Found:
        """Permutations of the units of b."""

    def __call__(
        self,
        objective: Objective,
        a: Point | Tensor | np.ndarray,
        b: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Alignment:
        """Align b with a. It is sequential work of which nothing is resumed; the budget is that of the search.

        Raises
        ------
        InputError
            If there is no network, or exchanging units changes its outputs.
        BudgetSpent
            If the budget ends during the search.
        """
        source = stream(rng)("align", self.name)
        found, work = self.solved(objective, a, b, source, budget)
        aligned = moved(work.symmetries, work.risk, work.b, found.permutations, found.factors)
        change = self.unchanged(work, aligned)
        profile = Barrier(steps=self.steps)
        before = profile(work.risk, work.a, work.b, rng=source)
        after = profile(work.risk, work.a, aligned, rng=source)
        identity = work.symmetries.identity()
        groups = tuple(
            Matched(
                g.name,
                g.size,
                g.within,
                int((found.permutations[g.name] != identity[g.name]).sum()),
                tuple(str(p) for p in g.places),
            )
            for g in work.symmetries.groups
        )
        shown = ("loss", *work.risk.metrics, "test_loss", *(f"test_{m}" for m in work.risk.metrics))
        statistics = {f"statistics.{n}": x.detach().cpu().numpy() for n, x in (aligned.statistics or {}).items()}
        a, b, c = (p.theta.double() for p in (work.a, work.b, aligned))
        return Alignment(
            data={
                "theta": aligned.theta.detach().cpu().numpy(),
                **statistics,
                **{f"permutation.{name}": p for name, p in found.permutations.items()},
                **found.arrays,
                "t": before.data["t"],
                **{f"before_{name}": before.data[name] for name in shown if name in before.data},
                **{f"after_{name}": after.data[name] for name in shown if name in after.data},
            },
            status=AlignmentStatus.UNCHANGED if torch.equal(aligned.theta, work.b.theta) else AlignmentStatus.ALIGNED,
            cost=work.counted.meter.read() + before.cost + after.cost,
            provenance=provenance(work.risk, self, (work.a, work.b), source, statistics=before.provenance.statistics),
            method=self.name,
            output_change=change,
            tolerance=self.tolerated(work.risk),
            distance_before=float((a - b).norm()),
            distance_after=float((a - c).norm()),
            before=before.barrier,
            after=after.barrier,
            ends=before.ends,
            groups=groups,
            left=work.symmetries.left,
            metrics=tuple(work.risk.metrics),
            evidence=found.evidence,
        )

    def solved(
        self,
        objective: Objective,
        a: Point | Tensor | np.ndarray,
        b: Point | Tensor | np.ndarray,
        rng: Stream,
        budget: Budget | None = None,
    ) -> tuple[Found, Work]:
        """The permutations alone, and what they were searched with."""
        risk = risk_of(objective)
        counted = objective if isinstance(objective, Metered) else Metered(risk, budget)
        first, second = risk.point(a, "a"), risk.point(b, "b")
        for point in (first, second):
            if not bool(point.theta.isfinite().all()):
                raise InputError(f"{point.name} holds values that are not finite: its units cannot be compared")
        work = Work(risk, counted, first, second, self.groups(risk, rng))
        if not work.symmetries.groups:
            left = f" (not understood: {', '.join(work.symmetries.left)})" if work.symmetries.left else ""
            raise InputError(f"{type(risk.network.module).__name__} has no units that may be exchanged{left}")
        return self.search(work, rng), work

    def groups(self, risk: EmpiricalRisk, rng: Stream) -> Symmetries:
        """The symmetries that the search works with."""
        return symmetries(risk, skip=self.skip, rng=rng)

    def tolerated(self, risk: EmpiricalRisk) -> float:
        """The tolerance, or that of the dtype."""
        return TOLERANCE.get(risk.space.dtype, 1e-2) if self.tolerance is None else self.tolerance

    def unchanged(self, work: Work, aligned: Point) -> float:
        """The relative change of the outputs.

        Raises
        ------
        InputError
            If it is above the tolerance.
        """
        own = work.risk.with_statistics(None)  # each point with its own statistics, whatever holds between points
        rows = own.rows(torch.arange(min(ROWS, own.row_count)))
        assert isinstance(rows, EmpiricalRisk)
        one, two = ([x for _, x in leaves(rows.outputs(p))] for p in (work.b, aligned))
        change = relative(one, two)
        if not change <= self.tolerated(work.risk):
            raise InputError(
                f"the outputs of {work.b.name} change by {change:.2g} of their size when units are exchanged, above "
                f"{self.tolerated(work.risk):g}: use --dtype float64, or a larger tolerance"
            )
        return change


@dataclass(frozen=True, eq=False)
class Work:
    """What a search has: the network, a meter, both points and the symmetries."""

    risk: EmpiricalRisk
    counted: Metered
    a: Point
    b: Point
    symmetries: Symmetries
