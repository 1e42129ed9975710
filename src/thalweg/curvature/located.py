"""What every method at one point begins with: the point, the objective counted there, a stream of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point


@dataclass(frozen=True)
class Located:
    """An objective at a point, counted, with the stream that the method draws from."""

    objective: Metered
    point: Point
    rng: Stream

    @property
    def theta(self) -> Tensor:
        """The point's vector [P] in the objective's dtype and on its device."""
        return self.objective.space.check(self.point.theta)

    def told(self, method: Any) -> dict[str, Any]:
        """What every record says of where it comes from: ``cost`` and ``provenance``."""
        return {
            "cost": self.objective.meter.read(),
            "provenance": provenance(self.objective, method, (self.point,), self.rng),
        }


def located(
    objective: Objective, theta: Point | Tensor | np.ndarray, name: str, rng: int | Stream, budget: Budget | None
) -> Located:
    """The objective at ``theta`` under the policy of that point; one that is counted already goes on counting."""
    point = objective.point(theta)
    view = objective.at(point)
    counted = view if isinstance(view, Metered) and budget is None else Metered(view, budget)
    return Located(counted, point, stream(rng)(name))
