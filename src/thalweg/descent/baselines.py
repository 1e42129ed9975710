"""Optimisers of SciPy and torch as they come: what everybody uses, with the stops that everybody leaves as they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import torch
from scipy.optimize import minimize
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Baseline, BaselineStatus, Cost

STOPS: Mapping[str, Mapping[str, float]] = {
    "lbfgs": {"tolerance_grad": 1e-7, "tolerance_change": 1e-9},
    "bfgs": {"gtol": 1e-5},
    "newton-cg": {"xtol": 1e-5},
    "trust-ncg": {"gtol": 1e-4},
    "trust-krylov": {"gtol": 1e-4},
    "trust-exact": {"gtol": 1e-4},
}
"""Every method, with its stopping rules at the defaults of torch (lbfgs) and of SciPy (the others)."""

_NAMES = {"bfgs": "BFGS", "newton-cg": "Newton-CG"}


@dataclass(frozen=True)
class Library:
    """``method`` of torch (lbfgs) or SciPy from each point in turn, with its own stopping rules.

    ``stops`` changes some of them; without it they are the defaults, which the record shows. "lbfgs" takes up to
    ``limit`` iterations in one call; its ``tolerance_change`` ends it where the step's slope −g·d is below 1e-9, so
    where ‖∇F‖ is below 3e-5, whatever ``tolerance_grad`` asks. None of them looks at curvature before it stops, so that
    all end at an exact saddle, and those that see the Hessian along the gradient alone end on its stable manifold.
    ``stop_loss`` ends a run at the first point, of a line search or not, at which F is evaluated and at or below it.

    Raises
    ------
    InputError
        If the method or a stopping rule is unknown, or limit is below 1.
    """

    method: str = "lbfgs"
    limit: int = 1000
    stops: Mapping[str, float] = field(default_factory=dict)
    stop_loss: float | None = None

    def __post_init__(self) -> None:
        if self.method not in STOPS:
            raise InputError(f"method={self.method!r}: choose {', '.join(STOPS)}")
        unknown = sorted(set(self.stops) - set(STOPS[self.method]))
        if unknown:
            raise InputError(f"stop {unknown[0]!r}: {self.method} stops by {', '.join(STOPS[self.method])}")
        if self.limit < 1:
            raise InputError(f"limit={self.limit}: it must be at least 1")

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Baseline:
        """Run from every point, one after the other; a tensor [B, P] is B points."""
        if not points:
            raise InputError("a baseline was given 0 points: give at least one")
        given = [objective.point(row) for point in points for row in _rows(point)]
        counted = Metered(objective.at(*given), budget)
        runs, status = [], BaselineStatus.CONVERGED
        for b, point in enumerate(given):
            run = _Run(counted, point.theta, self.stop_loss)
            try:
                (self._torch if self.method == "lbfgs" else self._scipy)(run)
            except _Reached:
                run.message, run.reached = f"F is at or below stop_loss={self.stop_loss}", True
            except BudgetSpent:
                run.message, status = "the budget ended", BaselineStatus.BUDGET
            runs.append(run)
            if evaluate is not None:
                evaluate.progress(b + 1, len(given))
        if status is BaselineStatus.CONVERGED and not all(run.converged for run in runs):
            status = BaselineStatus.STOPPED
        ends = torch.stack([run.theta for run in runs])
        loss, gradient = counted.objective.value_and_grad(ends)  # what reports the end is not the optimiser's cost
        spent = {n: np.array([getattr(run.spent, n) for run in runs]) for n in ("backwards", "forwards", "products")}
        return Baseline(
            data={
                "starts": torch.stack([p.theta for p in given]).cpu().numpy(),
                "thetas": ends.cpu().numpy(),
                "loss": loss.cpu().numpy(),
                "gradient_norm": gradient.double().norm(dim=1).cpu().numpy(),
                "steps": np.array([run.steps for run in runs]),
                "gradients": spent["backwards"],
                "forwards": spent["forwards"],
                "products": spent["products"],
                "converged": np.array([run.converged for run in runs]),
                "reached": np.array([run.reached for run in runs]),
            },
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted, self, given, stream(rng)("baseline")),
            method=self.method,
            library=f"torch {torch.__version__}" if self.method == "lbfgs" else f"SciPy {scipy.__version__}",
            stops=self._stops(),
            messages=tuple(run.message for run in runs),
        )

    def _stops(self) -> dict[str, float]:
        return {**STOPS[self.method], **self.stops}

    def _scipy(self, run: _Run) -> None:
        hessian: dict[str, Any] = {}
        if self.method == "trust-exact":
            hessian["hess"] = run.dense
        elif self.method != "bfgs":
            hessian["hessp"] = run.product
        with warnings.catch_warnings():
            # What SciPy warns of, such as a lost precision, is in its message.
            warnings.simplefilter("ignore")
            search: Any = minimize  # its overloads name every method
            found = search(
                run.value_and_grad, run.start, jac=True, method=_NAMES.get(self.method, self.method),
                options={"maxiter": self.limit, **self.stops}, callback=run.iterated, **hessian,
            )  # fmt: skip
        run.theta = run.tensor(found.x)
        run.steps, run.converged, run.message = int(found.nit), bool(found.success), str(found.message)

    def _torch(self, run: _Run) -> None:
        leaf = run.theta.clone().requires_grad_()
        stops: dict[str, Any] = dict(self.stops)
        optimiser = torch.optim.LBFGS([leaf], max_iter=self.limit, **stops)

        def closure() -> Tensor:
            value, gradient = run.evaluated(leaf.detach())
            leaf.grad = gradient.clone()
            return value

        try:
            optimiser.step(closure)
        finally:
            run.theta = leaf.detach()
            state = optimiser.state[leaf]
            run.steps = int(state.get("n_iter", 0))
        ended = run.steps >= self.limit or int(state["func_evals"]) >= self.limit * 5 // 4
        run.converged = not ended and bool(run.theta.isfinite().all())
        run.message = "its limit of iterations or evaluations was reached" if ended else "one of its tolerances was met"


class _Reached(Exception):
    """F is low enough; raised through a library, which has no other way to be stopped within a step."""


class _Run:
    """One run: the objective as a library wants it, and what it came to."""

    def __init__(self, objective: Metered, theta: Tensor, stop_loss: float | None) -> None:
        self.objective, self.theta = objective, theta.detach()
        self.start = theta.detach().double().cpu().numpy()
        self.before = objective.meter.cost
        self.stop_loss = -np.inf if stop_loss is None else stop_loss
        self.steps, self.converged, self.reached, self.message = 0, False, False, ""
        self._begun = False

    @property
    def spent(self) -> Cost:
        """What this run has cost; call it before the next begins."""
        return self._spent

    def tensor(self, x: np.ndarray) -> Tensor:
        """A point of the space."""
        return torch.as_tensor(np.array(x)).to(self.theta)

    def evaluated(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """F and its gradient [P]; the last place is kept, so that a budget's end keeps it."""
        value, gradient = self.objective.value_and_grad(theta[None])
        self.theta, self._spent = theta.clone(), self.objective.meter.cost - self.before
        if float(value[0]) <= self.stop_loss:
            self.steps += int(self._begun)  # the step that is being made, except at the start
            raise _Reached
        self._begun = True
        return value[0], gradient[0]

    def iterated(self, x: np.ndarray) -> None:
        """SciPy has made a step."""
        self.steps += 1

    def value_and_grad(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """For SciPy."""
        value, gradient = self.evaluated(self.tensor(x))
        return float(value), gradient.double().cpu().numpy()

    def product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """H(x)v for SciPy."""
        with self.objective.linearized(self.tensor(x)[None]) as linear:
            found = linear.hvp(self.tensor(v)[None, None])[0, 0]
        self._spent = self.objective.meter.cost - self.before
        return found.double().cpu().numpy()

    def dense(self, x: np.ndarray) -> np.ndarray:
        """H(x) for SciPy, by P products."""
        theta = self.tensor(x)
        with self.objective.linearized(theta[None]) as linear:
            found = linear.hvp(torch.eye(len(theta)).to(theta)[None])[0]
        self._spent = self.objective.meter.cost - self.before
        return ((found + found.T) / 2).double().cpu().numpy()

    _spent: Cost = Cost()


def _rows(point: Point | Tensor | np.ndarray) -> list[Any]:
    return [point] if isinstance(point, Point) or point.ndim == 1 else list(point)
