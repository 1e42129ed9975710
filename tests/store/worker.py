"""A process that evaluates a slow plan into a study directory: ``python -m tests.store.worker DIRECTORY``."""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from thalweg.core.evaluate import Plan
from thalweg.core.recorded import Recorded
from thalweg.store import Directory

POINTS, TASK = 24, 2


def values(c: torch.Tensor) -> dict[str, torch.Tensor]:
    """NaN, infinities and irrational numbers."""
    return {"loss": (c[:, 0] - 5).log(), "pair": torch.stack([c[:, 0].sin(), c[:, 0] / (c[:, 0] - 3)], dim=1)}


def plan(seconds: float = 0.0) -> Plan:
    def fn(c: torch.Tensor) -> dict[str, torch.Tensor]:
        time.sleep(seconds)
        return values(c)

    points = torch.arange(POINTS, dtype=torch.float64)[:, None]
    return Plan(fn, points, ("loss", "pair"), trailing={"pair": (2,)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    with Directory.open(sys.argv[1], {"command": "stub"}, resume=True) as directory:
        found = Recorded("p", directory.ledger, directory.sink, task_size=TASK)(plan(0.2)).values
    np.savez(sys.argv[2], **found)  # type: ignore[arg-type]
