"""Sequential work inside sequential work: the inner one's state is kept inside the outer one's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import numpy as np

from thalweg.core.evaluate import Evaluator, Inline, Outcome, Plan
from thalweg.core.metered import Meter
from thalweg.records import Cost

State = dict[str, np.ndarray]


@final
class Within(Evaluator):
    """The evaluator of a part of some sequential work; ``around()`` is the state of the whole while the part runs.

    ``kept`` is what the whole was restored from; the part's own state in it is named ``name/…``.
    """

    def __init__(
        self, outer: Evaluator, name: str, around: Callable[[], State], kept: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._outer, self._head, self._around = outer, f"{name}/", around
        self._kept = part(kept or {}, name)

    def __call__(self, plan: Plan) -> Outcome:
        """Evaluate in this process: a plan inside a part is not kept by itself."""
        return Inline()(plan)

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep the whole with this part's state in it."""
        self._outer.checkpoint({**self._around(), **{self._head + name: x for name, x in state.items()}})

    def restore(self) -> State | None:
        """This part's state, where it had begun."""
        return self._kept or None

    def progress(self, done: int, total: int) -> None:
        """Tell whoever watches the whole."""
        self._outer.progress(done, total)


def part(kept: Mapping[str, np.ndarray], name: str) -> State:
    """What of a kept state is named ``name/…``, without that head."""
    head = f"{name}/"
    return {key.removeprefix(head): x for key, x in kept.items() if key.startswith(head)}


def spent(meter: Meter) -> np.ndarray:
    """A meter's count as an array, to be kept."""
    c = meter.read()
    return np.array([c.forwards, c.backwards, c.products, c.rows, c.seconds])


def respend(meter: Meter, kept: np.ndarray) -> None:
    """Put a kept count back on a meter, whose clock then goes on from there."""
    *counts, seconds = kept.tolist()
    meter.cost, meter.started = Cost(*counts), meter.started - seconds
