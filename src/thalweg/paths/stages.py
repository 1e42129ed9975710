"""A search of several descents in turn, kept and taken up again as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Meter
from thalweg.paths.resume import State, Within, part, respend, spent

_STATE, _INSIDE = "state", "inside"


@final
class Stages:
    """Where a search is: the ``number`` of its stage and its ``state`` when that began.

    What an interrupted search kept is read once, the meter's count with it; :meth:`inner` is for a stage's descent.
    """

    def __init__(self, evaluate: Evaluator, meter: Meter, state: Mapping[str, np.ndarray]) -> None:
        self.evaluate, self.meter = evaluate, meter
        self._kept: State = dict(evaluate.restore() or {})
        self.number, self.state = 0, dict(state)
        if self._kept:
            self.number, self.state = int(self._kept["stage"]), part(self._kept, _STATE)
            respend(meter, self._kept["spent"])

    def begin(self, number: int, state: Mapping[str, np.ndarray]) -> None:
        """The next stage begins with this state."""
        self.number, self.state, self._kept = number, dict(state), {}
        self.evaluate.checkpoint(self._around())

    def inner(self) -> Evaluator:
        """The evaluator for what runs within this stage."""
        return Within(self.evaluate, _INSIDE, self._around, self._kept)

    def _around(self) -> State:
        named = {f"{_STATE}/{name}": x for name, x in self.state.items()}
        return {"stage": np.array(self.number), "spent": spent(self.meter), **named}
