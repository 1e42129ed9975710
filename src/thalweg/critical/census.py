"""Index against loss over many points, with the theory of random Hessians laid over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.critical.classify import Classify
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Census as CensusRecord
from thalweg.records import CensusStatus, Classification, PointStatus
from thalweg.zoo import random_matrix


@dataclass(frozen=True)
class Census:
    """Judge every point and gather loss, gradient norm and index.

    ``classify`` judges one. ``residuals`` is the number of residuals of a squared loss (rows times outputs); with it
    the curves α(ε) of Pennington & Bahri 2017 at φ = P/residuals are added where φ < 1, in units of F through
    ε = ``energy`` · (F − ``floor``), where ``energy`` is what turns F into Σe²/2m (1 for half the mean square).

    Raises
    ------
    InputError
        If residuals or energy is not positive.
    """

    classify: Classify = field(default_factory=Classify)
    residuals: int | None = None
    energy: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.residuals is not None and self.residuals < 1:
            raise InputError(f"residuals={self.residuals}: at least 1 is needed, or None")
        if not 0 < self.energy < float("inf"):
            raise InputError(f"energy={self.energy}: it must be positive and finite")

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> CensusRecord:
        """Judge every point; a tensor [B, P] is B points."""
        source = stream(rng)("census")
        counted = objective if isinstance(objective, Metered) else Metered(objective, budget)
        given = [counted.point(point) for point in each(points)]
        found: list[Classification] = []
        for i, point in enumerate(given):
            try:
                found.append(self.classify(counted, point, rng=source(i)))
            except BudgetSpent:
                if not found:
                    raise
                break
            if evaluate is not None:
                evaluate.progress(i + 1, len(given))
        left = len(given) - len(found)
        notes = (f"The budget ended before {left} of {len(given)} points were judged.",) if left else ()
        critical = np.array([r.critical for r in found])
        status = (
            CensusStatus.CRITICAL if critical.all() else CensusStatus.MIXED if critical.any() else CensusStatus.NONE
        )
        loss = np.array([r.value for r in found])
        curves = self._curves(objective.space.size, float(np.nanmax(loss, initial=0.0)))
        return CensusRecord(
            data={
                "thetas": np.stack([p.theta.detach().double().cpu().numpy() for p in given[: len(found)]]),
                "loss": loss,
                "gradient_norm": np.array([r.gradient_norm for r in found]),
                "index_low": np.array([_or_nan(r.index.lower) for r in found]),
                "index_high": np.array([_or_nan(r.index.upper) for r in found]),
                "nullity_low": np.array([_or_nan(r.nullity.lower) for r in found]),
                "critical": critical,
                "flat": np.array([r.status is PointStatus.GRADIENT_FLAT for r in found]),
                **curves,
            },
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted, self, given[: len(found)], source, notes=notes),
            size=found[0].size,
            tolerance=self.classify.tolerance,
            kinds=dict(Counter(r.kind for r in found)),
            curves=tuple(dict.fromkeys(name.partition(".")[0] for name in curves)),
            floor=self.floor,
        )

    def _curves(self, size: int, top: float) -> dict[str, np.ndarray]:
        if self.residuals is None or size >= self.residuals:
            return {}
        phi, loss = size / self.residuals, np.linspace(self.floor, max(top, self.floor), 60)
        kinds: tuple[random_matrix.Kind, ...] = ("wigner", "relu")
        energies = self.energy * (loss - self.floor)
        shares = {k: np.array([random_matrix.negative_share(e, phi, k) for e in energies]) for k in kinds}
        return {f"{k}.{name}": x for k in kinds for name, x in (("loss", loss), ("share", shares[k]))}


def each(points: Sequence[Point | Tensor | np.ndarray]) -> list[Point | Tensor]:
    """The points given one by one; a tensor [B, P] is B of them.

    Raises
    ------
    InputError
        If there are none.
    """
    found: list[Point | Tensor] = []
    for point in points:
        if isinstance(point, Point):
            found.append(point)
        else:
            rows = point if isinstance(point, Tensor) else torch.from_numpy(np.array(point))
            found += list(rows if rows.ndim == 2 else rows[None])
    if not found:
        raise InputError("a census was given 0 points: give at least one")
    return found


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
