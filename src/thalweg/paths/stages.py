"""A search of several descents in turn, kept and taken up again as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np

from thalweg.core.evaluate import Evaluator, Outcome, Plan
from thalweg.core.metered import Meter
from thalweg.records import Cost


@final
class Stages:
    """Where a search is: the ``number`` of its stage and its ``state`` when that began.

    What an interrupted search kept is read once; hand :meth:`inner` to the descent of the stage.
    """

    def __init__(self, evaluate: Evaluator, meter: Meter, state: Mapping[str, np.ndarray]) -> None:
        self.evaluate, self.meter = evaluate, meter
        kept = evaluate.restore()
        self.number, self.state = 0, dict(state)
        self._inside: dict[str, np.ndarray] | None = None
        if kept is not None:
            self.number = int(kept["stage"])
            self.state = _under(kept, "state/")
            self._inside = _under(kept, "inside/") or None
            *counts, seconds = kept["spent"].tolist()
            meter.cost, meter.started = Cost(*counts), meter.started - seconds

    def begin(self, number: int, state: Mapping[str, np.ndarray]) -> None:
        """The next stage begins with this state."""
        self.number, self.state, self._inside = number, dict(state), None
        self.keep({})

    def inner(self) -> Evaluator:
        """The evaluator for what runs within this stage."""
        return _Inner(self)

    def keep(self, inside: Mapping[str, np.ndarray]) -> None:
        """Keep the stage with what its descent has reached."""
        c = self.meter.read()
        self.evaluate.checkpoint(
            {
                "stage": np.array(self.number),
                "spent": np.array([c.forwards, c.backwards, c.products, c.rows, c.seconds]),
                **{f"state/{name}": x for name, x in self.state.items()},
                **{f"inside/{name}": x for name, x in inside.items()},
            }
        )

    @property
    def inside(self) -> dict[str, np.ndarray] | None:
        """What the interrupted descent of this stage had kept; None where it had not begun."""
        return self._inside


@final
class _Inner(Evaluator):
    """The outer evaluator, with the stage's state beside every checkpoint."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages

    def __call__(self, plan: Plan) -> Outcome:
        return self.stages.evaluate(plan)

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        self.stages.keep(state)

    def restore(self) -> dict[str, np.ndarray] | None:
        return self.stages.inside

    def progress(self, done: int, total: int) -> None:
        self.stages.evaluate.progress(done, total)


def _under(kept: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): np.array(x) for name, x in kept.items() if name.startswith(prefix)}
