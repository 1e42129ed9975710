"""Searching for better minima: the point of a path that is best on rows that did not train it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.paths.curve import Curve, rebuilt
from thalweg.paths.trace import along
from thalweg.records import Path, PathSearch, SearchStatus


@dataclass(frozen=True)
class Search:
    """The best of ``steps`` + 1 points of a path by ``by``, "loss" or a metric, on held-out rows.

    A point chosen among many looks better on the rows that chose it than it is: the test rows are cut in two by the
    seed, a ``share`` of them chooses and the others judge.

    Raises
    ------
    InputError
        If steps is below 2 or the share is not between 0 and 1.
    """

    steps: int = 60
    by: str = "loss"
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.steps < 2 or not 0 < self.share < 1:
            raise InputError(f"steps={self.steps}, share={self.share}: give at least 2 steps, a share between 0 and 1")

    def __call__(
        self,
        objective: Objective,
        path: Path | Curve,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> PathSearch:
        """Look along the path.

        Raises
        ------
        InputError
            If the objective has no test rows, too few of them, or no metric of that name.
        """
        source = stream(rng)("search")
        plain = objective.objective if isinstance(objective, Metered) else objective
        test = plain.test
        if test is None or test.row_count < 4:
            raise InputError(
                f"{0 if test is None else test.row_count} test rows: a search needs at least 4 that did not train the "
                "ends; give EmpiricalRisk(…, test=(inputs, targets))"
            )
        if self.by != "loss" and self.by not in test.metrics:
            raise InputError(f"by={self.by!r}: choose 'loss'{''.join(f', {m!r}' for m in test.metrics)}")
        curve = path if isinstance(path, Curve) else rebuilt(path.curve, path.data)
        ends = [plain.point(curve.knots[i], name) for i, name in ((0, "first end"), (-1, "last end"))]
        order = torch.randperm(test.row_count, generator=source("rows").torch())
        cut = min(max(1, round(self.share * test.row_count)), test.row_count - 1)
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        found, meter = [], Metered(plain, budget).meter
        for index in (order[:cut].sort().values, order[cut:].sort().values):
            rows = test.rows(index)
            view = Metered(rows, meter=meter, share=rows.row_count / plain.row_count).at(*ends)
            found.append(along(view, curve, t)[self.by])
        best = chosen(found[0], self.by)
        return PathSearch(
            data={
                "t": t.numpy(),
                "choosing": found[0],
                "judging": found[1],
                "theta": curve.theta(t[best])[0].cpu().numpy(),
            },
            status=status(found[0], found[1], best, self.by),
            cost=meter.read(),
            provenance=provenance(plain.at(*ends), self, ends, source),
            by=self.by,
            best=best,
            chosen_on=cut,
            judged_on=test.row_count - cut,
        )


def search(objective: Objective, path: Path | Curve, **options: object) -> PathSearch:
    """The best held-out point of a path by :class:`Search` with these options; ``rng`` and ``budget`` as there."""
    call = {name: options.pop(name) for name in ("rng", "evaluate", "budget") if name in options}
    return Search(**options)(objective, path, **call)  # type: ignore[arg-type]


def chosen(values: np.ndarray, by: str) -> int:
    """The index of the best finite value: the lowest loss, the highest metric; the first end where none is finite."""
    worth = -values if by == "loss" else values
    return int(np.argmax(np.where(np.isfinite(worth), worth, -np.inf)))


def status(choosing: np.ndarray, judging: np.ndarray, best: int, by: str) -> SearchStatus:
    """Whether the chosen point is better than both ends on the rows that chose it, and on those that judge."""
    sign = -1.0 if by == "loss" else 1.0
    if not sign * choosing[best] > max(sign * choosing[0], sign * choosing[-1]):
        return SearchStatus.NO_BETTER
    better = sign * judging[best] > max(sign * judging[0], sign * judging[-1])
    return SearchStatus.BETTER if better else SearchStatus.CHOSEN_ONLY
