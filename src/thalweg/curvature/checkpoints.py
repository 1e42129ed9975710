"""Keeping an eigenvalue iteration between its restarts, so that a killed one goes on bit for bit."""

from __future__ import annotations

import time

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator
from thalweg.core.krylov import Ends, Restart
from thalweg.core.metered import Meter
from thalweg.records import Cost

CHECKPOINT_SECONDS = 5.0
"""A killed iteration loses at most about this much work and one restart."""

SHARE = 10
"""Writing may take one part in so many of the time."""


class Checkpoints:
    """Called with every restart; hands one to the evaluator now and then, with what it cost until there."""

    def __init__(self, evaluate: Evaluator, meter: Meter) -> None:
        self.evaluate, self.meter = evaluate, meter
        self._due = time.perf_counter() + CHECKPOINT_SECONDS

    def __call__(self, restart: Restart) -> None:
        """Keep this restart if the last one is long ago."""
        began = time.perf_counter()
        if began < self._due:
            return
        cost = self.meter.read()
        self.evaluate.checkpoint(
            {
                "vectors": restart.vectors.numpy(),
                "values": restart.values.numpy(),
                "counts": np.array([restart.locked, restart.products, restart.draws]),
                "norm": np.array(restart.norm),
                "spent": np.array([cost.products, cost.rows]),
            }
        )
        ended = time.perf_counter()
        self._due = ended + max(CHECKPOINT_SECONDS, SHARE * (ended - began))

    def restored(self, size: int, ends: Ends) -> Restart | None:
        """The restart kept last, whose cost is counted again; None where there is none of this kind."""
        kept = self.evaluate.restore()
        if kept is None or "vectors" not in kept or kept["vectors"].shape[1] != size:
            return None
        if len(kept["values"]) >= ends.within(size)[1]:
            return None  # of a larger basis than this one
        products, rows = (float(x) for x in kept["spent"])
        self.meter.cost = self.meter.cost + Cost(products=products, rows=int(rows))
        locked, taken, draws = (int(x) for x in kept["counts"])
        vectors, values = (torch.from_numpy(np.array(kept[name])) for name in ("vectors", "values"))
        return Restart(vectors, values, locked, taken, draws, float(kept["norm"]))
