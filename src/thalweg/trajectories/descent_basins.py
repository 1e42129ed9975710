"""Basins of descent: from every cell of a plane, what descent reaches, and what it reaches with noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.descent import Descent, GradientDescent, NoisyGD, Rule
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths.stages import Stages
from thalweg.records import Run, RunStatus
from thalweg.records.funnels import DescentBasins as DescentBasinsRecord
from thalweg.records.funnels import DescentBasinsStatus
from thalweg.slices import Plane, directions_of

TOGETHER = 2**24
"""Numbers that the points descended at once may hold."""

SHARE = 0.1
"""A start is bad where descent keeps more than this share of how far the plane's median lies above the least value."""


@dataclass(frozen=True)
class DescentBasins:
    """Descend from every cell of ``plane`` for ``steps`` steps by ``rule``, and again by ``noise`` (None: not again).

    The descent leaves the plane: it moves in all parameters. The second one is followed by as many steps of ``rule``,
    so that what is compared is the basin it came to and not its noise. It takes ``batch`` rows a step, all for None;
    with ``noise`` equal to ``rule`` the minibatches are the noise. A start is bad where what is reached is above
    ``level``; None takes the least value reached, or the one that the objective states, and :data:`SHARE` of how far
    the plane's median is above it. Sun, Li, Liang, Ding & Srikant 2020, §VII-A and Figure 8, which is a drawing.

    Raises
    ------
    InputError
        If steps or batch is below 1, or the plane is filled otherwise than densely.
    """

    plane: Plane = field(default_factory=lambda: Plane(steps=21))
    rule: Rule = field(default_factory=GradientDescent)
    noise: Rule | None = field(default_factory=lambda: NoisyGD(lr=0.1))
    steps: int = 200
    batch: int | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        Descent(self.rule, steps=self.steps, batch=self.batch)
        if self.plane.repeats > 1:
            raise InputError(f"plane.repeats={self.plane.repeats}: descent starts from the cells of one plane")

    def __call__(
        self,
        objective: Objective,
        *points: Point | Tensor | np.ndarray,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> DescentBasinsRecord:
        """Draw the plane, and descend from its cells; an interrupted call goes on within the descent it was at."""
        source = stream(rng)("descent basins")
        counted = objective if isinstance(objective, Metered) and budget is None else Metered(objective, budget)
        surface = self.plane(counted.objective, *points, rng=rng)
        counted.meter.cost = counted.meter.cost + surface.cost
        given = [counted.point(p, f"point {i + 1}") for i, p in enumerate(points)]
        subspace = counted.restrict(given[0], directions_of(surface, counted.objective, *given))
        cells = torch.from_numpy(surface.data["coordinates"].reshape(-1, 2).copy())
        shape, status = surface.loss.shape, DescentBasinsStatus.COMPLETE
        names = ("reached",) if self.noise is None else ("reached", "noisy")
        nothing = {name: np.full(len(cells), np.nan) for name in names}
        stages = Stages(evaluate or Inline(), counted.meter, {**nothing, "diverged": np.array(False)})
        many = max(1, TOGETHER // counted.space.size)
        parts = ("reached",) if self.noise is None else ("reached", "noisy", "settled")
        work = [(first, part) for first in range(0, len(cells), many) for part in parts]
        try:
            for number, (first, part) in list(enumerate(work))[stages.number :]:
                thetas = subspace.points(cells[first : first + many])
                starts = [Point(theta, given[0].statistics, "cell") for theta in thetas]
                run = self._run(part, counted, starts, source, first, stages)
                stages.begin(number + 1, self._with(stages.state, part, run, first))
        except BudgetSpent:  # what was not descended from to the end says nothing
            status = DescentBasinsStatus.BUDGET
        found = stages.state
        if status is DescentBasinsStatus.COMPLETE and found["diverged"]:
            status = DescentBasinsStatus.DIVERGED
        first_axis, second_axis = surface.axes
        return DescentBasinsRecord(
            data={
                "loss": surface.loss,
                "x": np.asarray(first_axis),
                "y": np.asarray(second_axis),
                **{name: found[name].reshape(shape) for name in names},
            },
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted.at(*given), self, given, source),
            rule=type(self.rule).__name__,
            noise="" if self.noise is None else type(self.noise).__name__,
            level=self._level(objective, surface.loss, found["reached"]) if self.level is None else self.level,
            steps=self.steps,
            labels=(surface.directions.labels[0], surface.directions.labels[1]),
        )

    def _run(self, part: str, objective: Metered, starts: list[Point], rng: Stream, first: int, stages: Stages) -> Run:
        """A descent from these cells, the one numbered ``first`` first; it settles from where noise had led them.

        Raises
        ------
        BudgetSpent
            If the budget ends before the steps do.
        """
        if part == "settled":
            ends = torch.from_numpy(stages.state["ends"].copy())
            starts = [replace(point, theta=theta.to(point.theta)) for point, theta in zip(starts, ends, strict=True)]
        descent = Descent(self.rule, steps=self.steps, every=self.steps, first=first)
        if part == "noisy" and self.noise is not None:
            descent = replace(descent, rule=self.noise, batch=self.batch)
        run = descent(objective, *starts, rng=rng(part), evaluate=stages.inner())
        if run.status is RunStatus.BUDGET:
            raise BudgetSpent("the budget ended before the steps did: raise the budget")
        return run

    @staticmethod
    def _with(state: Mapping[str, np.ndarray], part: str, run: Run, first: int) -> dict[str, np.ndarray]:
        """What was found so far, with the ends of a descent; those of noise are where the next one begins."""
        found = {name: x.copy() for name, x in state.items() if name != "ends"}
        if part == "noisy":
            return found | {"ends": run.final}
        found["diverged"] = np.array(bool(found["diverged"]) or RunStatus.DIVERGED in run.endings)
        losses = found["reached" if part == "reached" else "noisy"]
        losses[first : first + len(run.endings)] = np.where(np.isfinite(run.final_loss), run.final_loss, np.inf)
        return found

    @staticmethod
    def _level(objective: Objective, loss: np.ndarray, reached: np.ndarray) -> float:
        stated = getattr(objective.facts, "infimum", None)
        ends, starts = reached[np.isfinite(reached)], loss[np.isfinite(loss)]
        if not ends.size or not starts.size:
            return float("nan")
        least = float(ends.min()) if stated is None or not np.isfinite(stated) else float(stated)
        return least + SHARE * max(float(np.median(starts)) - least, 0.0)
