"""The nudged elastic band: a chain of points between two ends, relaxed across its direction."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.descent import Descent, Momentum, Rule
from thalweg.descent.rule import positive
from thalweg.errors import InputError
from thalweg.paths.band import Band, shares_of
from thalweg.paths.curve import Curve, Polyline, segment
from thalweg.paths.ends import Ends, ends
from thalweg.paths.trace import traced
from thalweg.records import Path, Run, RunStatus


@dataclass(frozen=True, eq=False)
class ElasticBand:
    """``pivots`` points between two ends under the forces of :class:`~thalweg.paths.band.Band`, all in one batch.

    ``spring=None`` redistributes the pivots before each step (infinitely stiff springs); a number is a stiffness.
    ``climb`` sends the highest pivot to the top of the path. ``batch`` rows a step, the same for all pivots. ``start``
    is the curve that the band begins as, by default the straight segment. ``level`` is judged as everywhere: None is
    the worse end + 5 %. The path between pivots is straight, and its maximum is looked for there as well.

    Jónsson, Mills & Jacobsen 1998; Henkelman & Jónsson 2000; for networks, Draxler et al. 2018, §3.

    Raises
    ------
    InputError
        If pivots, steps or batch is below 1, or the spring not positive.
    """

    pivots: int = 9
    steps: int = 300
    rule: Rule = field(default_factory=lambda: Momentum(0.05, 0.9))
    batch: int | None = None
    spring: float | None = None
    climb: bool = False
    start: Curve | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        for name in ("pivots", "steps", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: it must be at least 1")
        if self.spring is not None:
            positive("spring", self.spring)

    def __call__(
        self,
        objective: Objective,
        a: Point | Tensor | np.ndarray,
        b: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Path:
        """Relax the band; an interrupted run goes on from its last checkpoint."""
        source = stream(rng)("elastic_band")
        joined = ends(objective, a, b, self.level, budget)
        knots = chain(joined, self.start, self.pivots)
        descent = Descent(self.rule, steps=self.steps, every=self.steps, batch=self.batch, shared=True)
        knots, run = relaxed(descent, joined, knots, source, evaluate or Inline(), self.spring, self.climb)
        return traced(
            self,
            joined.values,
            joined.points,
            Polyline(knots),
            joined.level,
            source,
            name="elastic_band",
            evidence=(ended(run),),
            statistics=joined.statistics,
        )


def chain(joined: Ends, start: Curve | None, pivots: int) -> Tensor:
    """The knots [pivots + 2, P] that a band begins with, its first and last the ends to the last bit."""
    space = joined.steps.space
    a, b = (space.check(p.theta) for p in joined.points)
    if start is None:
        return segment(a, b).resampled(pivots + 2).knots
    knots = space.check(start.resampled(pivots + 2).knots).clone()
    away = max(float((knots[i] - x).double().norm()) for i, x in ((0, a), (-1, b)))
    if away > 1e-6 * max(1.0, start.straight):
        raise InputError(f"the start curve's ends lie {away:.3g} from the points: give a curve between them")
    knots[0], knots[-1] = a, b
    return knots


def relaxed(
    descent: Descent,
    joined: Ends,
    knots: Tensor,
    rng: Stream,
    evaluate: Evaluator,
    spring: float | None = None,
    climb: bool = False,
) -> tuple[Tensor, Run]:
    """The knots [K, P] after a descent of the inner ones under the band's forces, and its run.

    Without a spring, knots keep their shares of the length.
    """
    band = Band(descent.rule, knots[0], knots[-1], joined.losses, shares_of(knots), spring, climb)
    moving = Descent(
        band, steps=descent.steps, batch=descent.batch, every=descent.every or descent.steps, shared=descent.shared
    )
    points = [Point(theta, None, f"pivot {i + 1}") for i, theta in enumerate(knots[1:-1])]
    run = moving(joined.steps, *points, rng=rng, evaluate=evaluate)
    inner = torch.from_numpy(run.final.copy()).to(knots)
    return torch.cat([knots[:1], inner, knots[-1:]]), run


def ended(run: Run) -> str:
    """How a descent of the pivots ended, as a sentence."""
    steps, lost = int(run.data["steps"][-1]), sum(e is RunStatus.DIVERGED for e in run.endings)
    if run.status is RunStatus.BUDGET:
        return f"The budget ended the search after {steps} steps."
    if lost:
        return f"{lost} of {len(run.endings)} points left the finite numbers: use a smaller learning rate."
    return f"The search ended after {steps} steps."
