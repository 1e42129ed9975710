"""Search from many points at once, and judge whatever is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.critical.census import Census, each
from thalweg.critical.mode import MinimumMode
from thalweg.critical.search import DENSE_BELOW, SEARCHES
from thalweg.descent import Descent, Rule
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Census as CensusRecord
from thalweg.records import Classification

INNER = 60
"""Products of a Newton step where the Hessian is not formed."""

POLISH = 15
"""Newton-MR steps after following modes, whose steps across them converge slowly."""

TOGETHER = 2**25
"""Numbers that the Hessians or Krylov spaces of the starts searched from at once may hold."""

METHODS = (*SEARCHES, "minimum_mode")
"""Every search by its name."""


@dataclass(frozen=True)
class Search:
    """Follow ``method`` from every point for at most ``steps`` steps, then take the census of where it ends.

    ``method`` is a name of :data:`METHODS` or a rule. A search ends where ‖∇F‖ is a tenth of what ``census`` calls
    critical. "minimum_mode" looks for saddles of index ``index`` with steps up to ``radius``, polished by Newton-MR;
    "saddle_free" looks for minima. All in float64. Starts are searched from together, but those of a normalising
    network each on the surface that its own statistics make.

    Raises
    ------
    InputError
        If the method is unknown or steps is below 1.
    """

    method: str | Rule = "newton_mr"
    steps: int = 200
    index: int = 1
    radius: float = 0.1
    census: Census = field(default_factory=Census)

    def __post_init__(self) -> None:
        if isinstance(self.method, str) and self.method not in METHODS:
            raise InputError(f"method={self.method!r} is unknown: choose {', '.join(METHODS)}")
        if self.steps < 1:
            raise InputError(f"steps={self.steps}: a search takes at least 1 step")
        MinimumMode(radius=self.radius, index=self.index)

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> CensusRecord:
        """Search from every point; a tensor [B, P] is B points. The record holds ``starts`` and ``thetas`` too."""
        source = stream(rng)("search")
        counted = objective if isinstance(objective, Metered) else Metered(objective, budget)
        double = counted.to(torch.float64)
        given = [double.point(point) for point in each(points)]
        starts = torch.stack([double.retract(double.space.check(point.theta)) for point in given])
        found, losses = self._found(double, given, starts, source)
        ends = [replace(point, theta=theta) for point, theta in zip(given, found, strict=True)]
        assert isinstance(double, Metered)
        record = self.census(double.objective, *ends, rng=source, evaluate=evaluate)
        held = len(record.data["loss"])
        double.meter.cost = double.meter.cost + record.cost  # judged on a meter that no budget stops
        return replace(
            record,
            data={
                **record.data,
                "starts": starts[:held].cpu().numpy(),
                "start_loss": losses[:held].cpu().numpy(),
            },
            cost=double.meter.read(),
            provenance=provenance(counted, self, given, source),
            search=self.method if isinstance(self.method, str) else type(self.method).__name__,
        )

    def one(
        self,
        objective: Objective,
        point: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Classification:
        """Search from one point and judge what is found; the record holds ``start`` and ``theta`` too."""
        source = stream(rng)("search")
        counted = objective if isinstance(objective, Metered) else Metered(objective, budget)
        double = counted.to(torch.float64)
        start = double.point(point)
        theta = double.retract(double.space.check(start.theta))
        (found,), _ = self._found(double, [start], theta[None], source)
        end = Point(found, start.statistics, f"found from {start.name}")
        assert isinstance(double, Metered)
        record = self.census.classify(double.objective, end, rng=source)
        double.meter.cost = double.meter.cost + record.cost
        data = {**record.data, "start": theta.cpu().numpy(), "theta": found.cpu().numpy()}
        made = provenance(counted, self, (start,), source)
        return replace(record, data=data, cost=double.meter.read(), provenance=made)

    def rules(self, size: int, rng: Stream) -> list[tuple[Rule, int]]:
        """The rules for ``size`` parameters, one after the other, each with its steps."""
        if isinstance(self.method, Rule):
            return [(self.method, self.steps)]
        limit = {} if size <= DENSE_BELOW else {"rank" if self.method == "saddle_free" else "inner": INNER}
        if self.method == "minimum_mode":
            modes = MinimumMode(self.radius, rng("modes"), index=self.index, newton=size <= DENSE_BELOW)
            return [(modes, self.steps), (SEARCHES["newton_mr"](**limit), POLISH)]
        make: Callable[..., Rule] = SEARCHES[self.method]
        return [(make() if self.method == "gradient_norm" else make(**limit), self.steps)]

    def _found(self, objective: Objective, points: list[Point], starts: Tensor, rng: Stream) -> tuple[Tensor, Tensor]:
        """Where the searches end [B, P], and F where they start [B]; a budget leaves the rest where they are."""
        found, size = starts.clone(), starts.shape[1]
        losses = torch.full((len(starts),), torch.nan, dtype=torch.float64)
        each_of_its_own = any(point.statistics is not None for point in points)
        many = 1 if each_of_its_own else max(1, TOGETHER // (size * min(size, DENSE_BELOW)))
        for first in range(0, len(starts), many):
            if _spent(objective):
                break
            held = points[first : first + many]
            surface = objective.at(held[0]) if each_of_its_own else objective
            losses[first : first + many] = surface.losses(starts[first : first + many]).cpu()
            for number, (rule, steps) in enumerate(self.rules(size, rng(first))):
                stop = self.census.classify.tolerance / 10
                descent = Descent(rule, steps=steps, every=steps, stop_gradient=stop)
                thetas = found[first : first + many]
                moved = [replace(p, theta=t) for p, t in zip(held, thetas, strict=True)]
                run = descent(surface, *moved, rng=rng(first, number))
                found[first : first + many] = torch.from_numpy(run.final.copy()).to(found)
        return found, losses


def _spent(objective: Objective) -> bool:
    try:
        objective.meter.check()  # type: ignore[attr-defined]
    except BudgetSpent:
        return True
    return False
