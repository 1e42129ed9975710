"""Products that are counted for whoever watches."""

from __future__ import annotations

from typing import final

from torch import Tensor

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.curvature.chart import Chart


@final
class Watched:
    """Products of a chart, [k, size] -> float64 [k, size]; after each call the evaluator is told of how many.

    ``total`` is how many there will be in all, 0 where that is unknown, as it is beyond what was foretold; ``taken``
    begins with those that an interrupted run kept.
    """

    def __init__(self, chart: Chart, evaluate: Evaluator | None, total: int = 0, taken: int = 0) -> None:
        self.chart, self.total, self.taken = chart, total, taken
        self._evaluate = evaluate or Inline()

    def __call__(self, coordinates: Tensor) -> Tensor:
        """Products: [k, size] -> float64 [k, size]."""
        found = self.chart(coordinates)
        self.taken += len(coordinates)
        self._evaluate.progress(self.taken, self.total if self.taken <= self.total else 0)
        return found
