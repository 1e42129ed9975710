"""A grid estimated from some of the rows, with intervals labelled by how often they were seen to hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.records import Cost, Sampling
from thalweg.slices.fill import Canvas, Fill, Filled, at


@dataclass(frozen=True)
class Sample(Fill):
    """F at every point from the same ``rows`` rows, with control variates from points whose F is known.

    At ``anchors`` points of the grid the loss of every row is computed. At every other point the losses of the
    sampled rows are regressed on theirs, and the known means correct the estimate (Lavenberg & Welch 1981). The
    interval of nominal ``level`` is Student's, with the finite-population factor. Losses of rows are heavy-tailed,
    so that it holds less often than its name says: at ``checks`` points F is computed from all rows, and the
    record says how many of them the interval covered. No metric is estimated.

    Raises
    ------
    InputError
        If there are too few rows for the anchors, or the objective has no rows.
    """

    rows: int = 256
    anchors: int = 4
    checks: int = 16
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.anchors < 0 or self.checks < 1:
            raise InputError(f"anchors={self.anchors}, checks={self.checks}: at least 0 and 1 are needed")
        if self.rows < self.anchors + 3:
            raise InputError(f"rows={self.rows}: {self.anchors} anchors need at least {self.anchors + 3} rows")
        if not 0 < self.level < 1:
            raise InputError(f"level={self.level}: a level lies between 0 and 1")

    def __call__(self, canvas: Canvas) -> Filled:
        """Estimate every point of the grid."""
        risk: Objective = canvas.objective
        while isinstance(risk, Metered):
            risk = risk.objective
        if not isinstance(risk, EmpiricalRisk):
            raise InputError(f"{type(risk).__name__} has no rows to sample: leave fill=Sample() out")
        if self.rows >= risk.row_count:
            raise InputError(f"rows={self.rows} of {risk.row_count}: sample fewer, or leave fill=Sample() out")
        rng = np.random.default_rng(canvas.rng("sample").seed)
        index = torch.from_numpy(rng.permutation(risk.row_count)[: self.rows])
        part = risk.rows(index)
        assert isinstance(part, EmpiricalRisk)
        coefficients = canvas.mesh.reshape(-1, canvas.mesh.shape[-1])
        places = rng.permutation(len(coefficients))[: self.anchors + self.checks]
        anchors, checks = places[: self.anchors], places[self.anchors :]
        whole = np.stack([self._losses(canvas, risk, coefficients[i]) for i in anchors]) if self.anchors else None
        estimate = _Estimate(self, risk.row_count, None if whole is None else whole[:, index.numpy()], whole)
        scale = risk.row_count / risk.z
        found = np.empty((len(coefficients), 3))
        tails = []
        for i, c in enumerate(coefficients):
            losses = self._losses(canvas, part, c)
            mean, half = estimate(losses)
            penalty = risk.penalty(canvas.subspace.points(c[None])[0])
            found[i] = [scale * v + penalty for v in (mean, mean - half, mean + half)]
            tails.append(_tail(losses))
            canvas.evaluate.progress(i + 1, len(coefficients))
        truth = at(canvas, checks)["loss"] if len(checks) else np.empty(0)
        covered = int(((found[checks, 1] <= truth) & (truth <= found[checks, 2])).sum())
        error = np.abs(found[checks, 0] - truth) / np.abs(truth)
        sampling = Sampling(
            rows=self.rows,
            of=risk.row_count,
            anchors=self.anchors,
            level=self.level,
            covered=covered,
            checked=len(checks),
            error=float(np.median(error)) if len(checks) else float("nan"),
            tail=float(np.median(tails)),
        )
        values = {"loss": found[:, 0].reshape(canvas.shape)}
        data = {"lower": found[:, 1].reshape(canvas.shape), "upper": found[:, 2].reshape(canvas.shape)}
        return Filled(values, data, {"sampling": sampling})

    def _losses(self, canvas: Canvas, risk: EmpiricalRisk, c: torch.Tensor) -> np.ndarray:
        """The loss of every row at one point, float64."""
        share = risk.row_count / canvas.objective.row_count
        canvas.objective.meter.add(Cost(forwards=share, rows=risk.row_count))
        found: np.ndarray = risk.per_sample(canvas.subspace.points(c[None])[0]).double().cpu().numpy()
        return found


class _Estimate:
    """The mean over all rows from the losses of some: (estimate, half of the interval)."""

    def __init__(self, method: Sample, count: int, some: np.ndarray | None, whole: np.ndarray | None) -> None:
        n = method.rows
        self.known = 0.0 if whole is None or some is None else whole.mean(1) - some.mean(1)
        self.centred = np.empty((n, 0)) if some is None else (some - some.mean(1, keepdims=True)).T
        self.inverse = np.linalg.pinv(self.centred)
        free = n - method.anchors - 1
        self.factor = stats.t.ppf(0.5 + method.level / 2, free) * np.sqrt((1 - n / count) / (n * free))

    def __call__(self, losses: np.ndarray) -> tuple[float, float]:
        centred = losses - losses.mean()
        slopes = self.inverse @ centred
        residual = centred - self.centred @ slopes
        mean = losses.mean() + (float(slopes @ self.known) if len(slopes) else 0.0)
        return float(mean), float(self.factor * np.linalg.norm(residual))


def _tail(losses: np.ndarray) -> float:
    """The share of the sum that the largest 1 % of the rows carry."""
    most = np.sort(np.abs(losses))[-max(1, len(losses) // 100) :]
    total = np.abs(losses).sum()
    return float(most.sum() / total) if total else 0.0
