"""The top of a path followed to a saddle along its lowest mode, and classified."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.segment import Segment
from thalweg.core.space import Point
from thalweg.critical import Aimed, Classify, MinimumMode, NewtonMR, both_sides
from thalweg.curvature import Lanczos
from thalweg.descent import Adam, Descent
from thalweg.descent.rule import positive
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths.curve import Curve, rebuilt
from thalweg.paths.stages import Stages
from thalweg.records import Bracket, Classification, Guarantee, Path, PointStatus, RunStatus, Spectrum, TopStatus
from thalweg.records import Top as TopRecord

ENDINGS = {
    RunStatus.STEPS: "that it was given",
    RunStatus.BUDGET: "the budget ended",
    RunStatus.RETURNED: "no step lowered the gradient any further",
    RunStatus.DIVERGED: "a value was not finite",
}
"""Why a search ended where it found no critical point, in words."""


@dataclass(frozen=True)
class Top:
    """Follow the top of a path by :class:`MinimumMode`, polish it by Newton-MR, and classify what is found.

    ``steps`` of the first and ``polish`` of the second; ``radius`` is the longest step, as a share of the straight
    distance of the path's ends; ``products`` those of each step of the first, ``inner`` of the second, and ``judging``
    those of each of two judgements at the end, which a budget keeps up to its half. From a saddle of index 1 two
    descents of ``descent`` steps part along its mode (0: none). A search that falls to the path's higher end is over:
    what it could find there is no pass, and where F has its least value at infinity, no critical point either. A point
    counts as critical at a gradient norm of ``tolerance``. Up to ``dense_below`` parameters the index is exact; beyond,
    it rests on Lanczos' error bars. All in float64. A normalising network keeps the statistics of the path's top
    throughout: the saddle is one of that surface.

    Raises
    ------
    InputError
        If an option is out of its range.
    """

    steps: int = 40
    polish: int = 15
    radius: float = 0.05
    products: int = 12
    inner: int = 40
    judging: int = 100
    tolerance: float = 1e-5
    dense_below: int = 500
    descent: int = 100

    def __post_init__(self) -> None:
        for name in ("radius", "tolerance"):
            positive(name, getattr(self, name))
        if self.steps < 1 or self.polish < 0 or self.products < 4 or self.inner < 1 or self.judging < 8:
            raise InputError(
                f"steps={self.steps}, polish={self.polish}, products={self.products}, inner={self.inner}, "
                f"judging={self.judging}: give at least 1 step, 4 products, 1 inner, 8 judging and 0 polish"
            )

    def __call__(
        self,
        objective: Objective,
        path: Path | Curve,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> TopRecord:
        """Refine the top of a path."""
        source = stream(rng)("top")
        curve = path if isinstance(path, Curve) else rebuilt(path.curve, path.data)
        plain = objective.objective if isinstance(objective, Metered) else objective
        meter = objective.meter if isinstance(objective, Metered) else None
        double = plain if plain.space.dtype == torch.float64 else plain.to(torch.float64)
        t = highest(Metered(double), curve, path if isinstance(path, Path) else None)
        start = double.point(curve.theta(t)[0].to(torch.float64), "top")
        counted = Metered(double.at(start), budget, meter=meter)
        before = float(counted.losses(start.theta[None])[0])
        if t in (0.0, 1.0):
            return self._record(counted, start, start.theta, curve, t, before, source, TopStatus.AT_AN_END)
        held = max(path.ends) if isinstance(path, Path) else higher(double, curve)
        with counted.meter.keeping(min(self._judgement(start), counted.meter.left / 2)):
            found, taken, ending = self._followed(counted, start, curve, t, held, source, evaluate or Inline())
        point = Point(found, start.statistics, "saddle")
        record = self._judged(counted, start, point, curve, t, before, held, source, taken)
        return dataclasses.replace(record, held=held, ending=ending)

    def _judgement(self, start: Point) -> float:
        """Gradients that two judgements take; a classification takes up to an eighth more products than it is given."""
        size, dense = start.theta.numel(), start.theta.numel() <= self.dense_below
        products = size + self.judging + 4 if dense else 2.2 * self.judging + 8
        return 2.0 * products + 1

    def _followed(
        self, objective: Metered, start: Point, curve: Curve, t: float, held: float, rng: Stream, evaluate: Evaluator
    ) -> tuple[Tensor, int, str]:
        """Where the lowest mode leads, polished; the steps taken, and why they ended."""
        tangent = curve.velocity(t)[0].to(start.theta)
        first = MinimumMode(self.radius * max(curve.straight, 1e-12), rng("modes"), self.products)
        stages = Stages(evaluate, objective.meter, {"theta": start.theta.numpy()})
        theta, taken = torch.from_numpy(stages.state["theta"]).to(start.theta), int(stages.state.get("taken", 0))
        ending = ENDINGS[RunStatus.BUDGET]
        for number, rule, steps in (
            (0, Aimed(first, tangent), self.steps),
            (1, NewtonMR(tol=1e-6, inner=self.inner), self.polish),
        ):
            if number < stages.number or not steps:
                continue
            stops: Any = {"stop_gradient": self.tolerance / 10, "stop_loss": held}
            descent = Descent(rule, steps=steps, every=steps, **stops)
            try:
                point = Point(theta, start.statistics, "top")
                run = descent(objective, point, rng=rng(number), evaluate=stages.inner())
            except BudgetSpent:
                break
            theta = torch.from_numpy(run.final[0].copy()).to(theta)
            taken += int(run.data["ended"][0])
            ending = ENDINGS.get(run.endings[0], "")
            stages.begin(number + 1, {"theta": theta.numpy(), "taken": np.array(taken)})
        return theta, taken, ending

    def _judged(
        self,
        objective: Metered,
        start: Point,
        point: Point,
        curve: Curve,
        t: float,
        before: float,
        held: float,
        rng: Stream,
        taken: int,
    ) -> TopRecord:
        classify = Classify(tolerance=self.tolerance, dense_below=self.dense_below, products=self.judging)
        lanczos = Lanczos(k=2, which="SA", tol=1e-8, max_products=self.judging)
        losses, gradients = objective.value_and_grad(point.theta[None])
        value, norm = float(losses[0]), float(gradients.norm())
        found = self._record(objective, start, point.theta, curve, t, before, rng, TopStatus.UNFINISHED, taken=taken)
        found = dataclasses.replace(found, value=value, gradient_norm=norm)
        if value <= held:
            return dataclasses.replace(found, status=TopStatus.BELOW_ENDS)
        try:
            kind = self._counted(classify, objective, point, rng)
            lowest = self._counted(lanczos, objective, point, rng)
        except BudgetSpent:
            known = TopStatus.NOT_CRITICAL if norm > self.tolerance else TopStatus.UNFINISHED
            return dataclasses.replace(found, status=known, cost=objective.meter.read())
        status = judged(kind, lowest)
        found = self._record(objective, start, point.theta, curve, t, before, rng, status, kind, lowest, taken)
        if status is not TopStatus.INDEX_ONE or not self.descent:
            return found
        return descended(found, objective, point, curve, self.descent)

    def _counted(self, method: Any, objective: Metered, point: Point, rng: Stream) -> Any:
        """The method's record, within what is left; its cost on the meter."""
        left = objective.meter.left
        budget = None if math.isinf(left) else Budget(max(left, 1e-9))
        inner = Metered(objective.objective, budget)
        try:
            return method(inner, point, rng=rng)
        finally:
            objective.meter.cost = objective.meter.cost + dataclasses.replace(inner.meter.cost, seconds=0.0)

    def _record(
        self,
        objective: Metered,
        start: Point,
        theta: Tensor,
        curve: Curve,
        t: float,
        before: float,
        rng: Stream,
        status: TopStatus,
        kind: Classification | None = None,
        lowest: Spectrum | None = None,
        taken: int = 0,
    ) -> TopRecord:
        values, errors, vectors = smallest(lowest)
        nothing = Bracket(None, None)
        return TopRecord(
            data={
                "start": start.theta.cpu().numpy(),
                "theta": theta.cpu().numpy(),
                "eigenvalues": values,
                "errors": errors,
                **({"mode": vectors[0]} if len(vectors) else {}),
            },
            status=status,
            cost=objective.meter.read(),
            provenance=provenance(objective.objective, self, (start,), rng),
            t=t,
            before=before,
            value=before if kind is None else kind.value,
            gradient_norm=float("nan") if kind is None else kind.gradient_norm,
            tolerance=self.tolerance,
            distance=float((theta - start.theta).norm()) / max(curve.straight, 1e-300),
            index=nothing if kind is None else _index(kind, lowest, status),
            nullity=nothing if kind is None else kind.nullity,
            steps=taken,
        )


def descended(found: TopRecord, objective: Metered, saddle: Point, curve: Curve, steps: int) -> TopRecord:
    """The record with where F goes down to on either side of its saddle."""
    reach = 1e-2 * max(curve.straight, 1e-12)
    mode = torch.from_numpy(found.data["mode"].copy()).to(saddle.theta)
    parted = both_sides(objective, saddle.theta, mode, reach)
    rate = reach / saddle.theta.numel() ** 0.5  # Adam moves each coordinate by so much: all steps reach the ends
    try:
        run = Descent(Adam(rate), steps=steps, every=steps)(
            objective, *(Point(theta, saddle.statistics, f"side {i + 1}") for i, theta in enumerate(parted))
        )
        finals = torch.from_numpy(run.final.copy()).to(saddle.theta)
        said = tuple(landed(objective, theta, curve) for theta in finals)
    except BudgetSpent:
        return dataclasses.replace(found, cost=objective.meter.read())
    data = {**found.data, "descended": run.final}
    return dataclasses.replace(found, data=data, sides=said, cost=objective.meter.read())


def higher(objective: Objective, curve: Curve) -> float:
    """F at the higher end of a curve, each with its own statistics."""
    ends = [objective.point(knot.to(objective.space.dtype)) for knot in (curve.knots[0], curve.knots[-1])]
    return max(float(objective.at(end).losses(end.theta[None])[0]) for end in ends)


def landed(objective: Objective, theta: Tensor, curve: Curve) -> str:
    """Which end of a curve lies in the same valley as theta [P]: F does not rise on the straight segment to it.

    Its maximum is exact where F has a closed form on a line, else the largest of 33 even points and of as many that
    refine a spline: a rise that is narrower than a 32nd of the segment may not be seen.
    """
    found = []
    for name, end in (("first", curve.knots[0]), ("second", curve.knots[-1])):
        to = end.to(theta)
        line = Segment(objective, theta, to)
        top = line.max(tol=1e-4, most=33).bracket
        values = line.at(np.linspace(0, 1, 33))
        here, worse = float(values[0]), float(max(values[0], values[-1]))
        highest = max(float(values.max()), -math.inf if top.upper is None else top.upper)
        if np.isfinite(values).all() and highest <= worse + 1e-9 + 1e-3 * abs(worse):
            found.append((float((to - theta).norm()), name, here))
    if not found:
        return f"in neither end's basin, at F = {float(objective.losses(theta[None])[0]):.4g}"
    distance, name, value = min(found)
    if distance <= 1e-2 * curve.straight:
        return f"at the {name} end"
    return f"in the {name} end's basin, at F = {value:.4g}"


def highest(objective: Objective, curve: Curve, path: Path | None) -> float:
    """The t of the largest F known along a curve: from its record, or from 257 points.

    Values that rise above the better of their own rounding do not move it off an end.
    """
    if path is None:
        ts = np.linspace(0, 1, 257)
        values = objective.restrict(curve.knots[0], curve.directions).evaluate(curve.basis(torch.from_numpy(ts))[:, 1:])
        losses = values["loss"].cpu().numpy()
    else:
        ts = np.concatenate([path.data["t"], path.data.get("piece_t", np.empty(0))])
        losses = np.concatenate([path.data["loss"], path.data.get("piece_max", np.empty(0))])
    losses = np.where(np.isfinite(losses), losses, -np.inf)
    best = int(np.argmax(losses))
    end = 0 if losses[np.argmin(ts)] >= losses[np.argmax(ts)] else 1
    at_end = losses[np.argmin(ts)] if end == 0 else losses[np.argmax(ts)]
    rounding = max(objective.tolerance, 1e-6) * abs(float(losses[best]))
    return float(end) if losses[best] <= at_end + rounding else float(ts[best])


def judged(kind: Classification, lowest: Spectrum) -> TopStatus:
    """What a classification and the two smallest eigenvalues say of a top."""
    if kind.status is PointStatus.NONFINITE:
        return TopStatus.NONFINITE
    if not kind.critical:
        return TopStatus.NOT_CRITICAL
    index = kind.index
    if index.lower == index.upper:
        return {0: TopStatus.MINIMUM, 1: TopStatus.INDEX_ONE}.get(int(index.lower or 0), TopStatus.HIGHER_INDEX)
    values, errors, _ = smallest(lowest)
    if (index.lower or 0) > 1 or (len(values) > 1 and values[1] + errors[1] < 0):
        return TopStatus.HIGHER_INDEX
    if len(values) > 1 and values[0] + errors[0] < 0 < values[1] - errors[1]:
        return TopStatus.INDEX_ONE
    return TopStatus.MINIMUM if len(values) and values[0] - errors[0] > 0 else TopStatus.UNDECIDED


def smallest(lowest: Spectrum | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The smallest eigenvalues ascending [k], their error bars [k] and their vectors [k, P]."""
    if lowest is None:
        return np.empty(0), np.empty(0), np.empty((0, 0))
    order = np.argsort(lowest.eigenvalues)
    return lowest.eigenvalues[order], lowest.residuals[order] + lowest.slack, lowest.data["eigenvectors"][order]


def _index(kind: Classification, lowest: Spectrum | None, status: TopStatus) -> Bracket:
    """The classification's bracket, or what Lanczos' error bars say where that leaves it open."""
    if kind.index.lower == kind.index.upper or status not in (TopStatus.INDEX_ONE, TopStatus.MINIMUM):
        return kind.index
    count = 1 if status is TopStatus.INDEX_ONE else 0
    return Bracket(count, count, kind.index.lower_guarantee if count else Guarantee.ADAPTIVE, Guarantee.ADAPTIVE)
