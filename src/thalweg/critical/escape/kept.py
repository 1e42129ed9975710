"""What a race that is interrupted keeps."""

from __future__ import annotations

from typing import final

import numpy as np

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Meter
from thalweg.critical.escape.passage import Passage
from thalweg.records import Cost


@final
class Kept:
    """Lanes that are done, kept after each so that an interrupted race goes on with the next."""

    def __init__(self, keeper: Evaluator, meter: Meter) -> None:
        self._keeper, self._state = keeper, dict(keeper.restore() or {})
        self._meter = meter
        if "spent" in self._state:
            *counts, seconds = self._state["spent"].tolist()
            meter.cost, meter.started = Cost(*counts), meter.started - seconds

    def get(self, lane: int) -> Passage | None:
        """A lane that is done."""
        head = f"{lane}/"
        arrays = {n.removeprefix(head): x.copy() for n, x in self._state.items() if n.startswith(head)}
        cost = arrays.pop("cost", None)
        return None if cost is None else Passage(arrays, bool(cost[-1]))

    def cost(self, lane: int) -> Cost | None:
        """What it took."""
        found = self._state.get(f"{lane}/cost")
        return None if found is None else Cost(*found[:-1].tolist())

    def add(self, lane: int, passage: Passage, cost: Cost) -> None:
        """Keep a lane, unless it was."""
        if f"{lane}/cost" in self._state:
            return
        c, all_ = cost, self._meter.read()
        self._state |= {f"{lane}/{name}": x for name, x in passage.arrays.items()}
        self._state[f"{lane}/cost"] = np.array(
            [c.forwards, c.backwards, c.products, c.rows, c.seconds, float(passage.spent)]
        )
        self._state["spent"] = np.array([all_.forwards, all_.backwards, all_.products, all_.rows, all_.seconds])
        self._keeper.checkpoint(self._state)
