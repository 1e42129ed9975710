"""Which eigenvalues stand apart from the bulk, counted by their gap and explained by class means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.pullback import pulled
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature.chart import Chart
from thalweg.curvature.located import Located, located
from thalweg.curvature.operator import Kind, Operator
from thalweg.errors import InputError
from thalweg.records import Outliers as OutliersRecord
from thalweg.records import OutlierStatus

STANDS_OUT = 1.5
"""How many times the second largest ratio the largest must be to count as a gap."""


@dataclass(frozen=True)
class Outliers:
    """The ``k`` largest eigenvalues, their largest ratio, their overlap with the gradient, and the class means.

    Sagun et al. 2017 count as many outliers of the Hessian as classes. Papyan 2019 explains them by class means: the
    Gauss–Newton matrix of softmax cross-entropy is Σ p_c' gg'ᵀ/n over rows and outputs, g = Jᵀ(e_c' − p), and the part
    Σ_c w_c m_c m_cᵀ of the weighted means over each class's wrong outputs (weights p_c', of sum w_c) is computed here
    for class targets; it never exceeds the whole. Up to ``dense_below`` parameters the spectrum is computed whole.

    Raises
    ------
    InputError
        If k < 3, or there are fewer than 3 parameters.
    """

    k: int = 20
    operator: Kind = "ggn"
    dense_below: int = 2000
    tol: float = 1e-4

    def __post_init__(self) -> None:
        if self.k < 3:
            raise InputError(f"k={self.k}: a gap among eigenvalues takes at least 3")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> OutliersRecord:
        """Find the gap."""
        here = located(objective, theta, "outliers", rng, budget)
        counted = here.objective
        with Operator(counted, here.point, self.operator) as matrix:
            chart = Chart(matrix, here.point)
            if chart.size < 3:
                raise InputError(f"a gap among eigenvalues takes at least 3: there are {chart.size}")
            k, whole = min(self.k, chart.size), chart.size <= self.dense_below
            values, vectors = self._top(chart, k, whole, here.rng)
        if not len(values) or not bool(here.theta.isfinite().all()):
            return self._unknown(here, chart, whole)
        gradient = counted.value_and_grad(here.theta[None])[1][0].double().cpu()
        square = float(gradient.square().sum())
        overlap = (vectors @ gradient).square().numpy() / square if square > 0 else np.zeros(len(values))
        ratios = _ratios(values.numpy())
        order = np.argsort(-ratios)
        gap, following = float(ratios[order[0]]), float(ratios[order[1]])
        means = _class_means(counted.objective, here.point, self.operator)
        return OutliersRecord(
            data={
                "eigenvalues": values.numpy(),
                "ratios": ratios,
                "overlap": overlap,
                **({} if means is None else {"class_means": means}),
            },
            status=OutlierStatus.GAP if gap >= STANDS_OUT * following else OutlierStatus.NO_GAP,
            **here.told(self),
            operator=matrix.name,
            size=chart.size,
            count=int(order[0]) + 1,
            gap=gap,
            next_gap=following,
            classes=None if means is None else len(means),
            dense=whole,
        )

    def _top(self, chart: Chart, k: int, whole: bool, rng: Stream) -> tuple[Tensor, Tensor]:
        """The largest eigenvalues, descending, and their vectors [k, P]; none where a product is not finite."""
        if not whole:
            pairs = krylov.lanczos(chart, chart.size, krylov.Ends(k, tol=self.tol), rng)
            return pairs.values, chart.lift(pairs.vectors)
        found = chart.dense()
        if not bool(found.isfinite().all()):
            return found.new_empty(0), found.new_empty(0, chart.matrix.size)
        values, columns = torch.linalg.eigh(found)
        return values.flip(0)[:k], chart.lift(columns.T.flip(0)[:k])

    def _unknown(self, here: Located, chart: Chart, whole: bool) -> OutliersRecord:
        nan, nothing = float("nan"), np.empty(0)
        return OutliersRecord(
            data={"eigenvalues": nothing, "ratios": nothing, "overlap": nothing},
            status=OutlierStatus.NONFINITE,
            **here.told(self),
            operator=chart.name,
            size=chart.size,
            count=0,
            gap=nan,
            next_gap=nan,
            dense=whole,
        )


def _ratios(values: np.ndarray) -> np.ndarray:
    """Each eigenvalue over the next, where both are positive beyond rounding; 1 elsewhere."""
    floor = 1e-9 * max(float(values[0]), 1e-300)
    safe = np.where(values > floor, values, floor)
    return np.where(values[1:] > floor, safe[:-1] / safe[1:], 1.0)


def _class_means(objective: Any, point: Point, operator: Kind) -> np.ndarray | None:
    """The eigenvalues of ΔΔᵀ, one per class; None where the targets are not classes of one output each."""
    if operator != "ggn" or not isinstance(objective, EmpiricalRisk):
        return None
    targets, outputs = objective.table.targets, objective.outputs(point)
    if not isinstance(targets, Tensor) or targets.ndim != 1 or targets.is_floating_point():
        return None
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or int(targets.max()) >= outputs.shape[1]:
        return None
    p = torch.softmax(outputs.double(), 1)
    rows, classes = p.shape
    own = torch.nn.functional.one_hot(targets, classes).double()
    # Σ_c' p_c' (e_c' − p) = 0, so that the sum over the other outputs is that over its own with the sign changed.
    cotangents = torch.stack([own[:, c : c + 1] * p[:, c : c + 1] * (p - own) / rows for c in range(classes)])
    weights = (own * (1 - p)).sum(0) / rows
    delta = pulled(objective, point, cotangents) / weights.clamp(min=1e-300).sqrt()[:, None]
    return torch.linalg.eigvalsh(delta @ delta.T).flip(0).numpy()
