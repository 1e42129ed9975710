"""One study on 1, 2 and 3 ranks, by points or by rows, in any row blocks and tasks: one record."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.exec import crew
from tests.exec.test_rows import make
from tests.exec.threads import on_ranks
from thalweg.core.evaluate import Evaluator
from thalweg.core.objective import Objective
from thalweg.core.recorded import Recorded
from thalweg.curvature import Lanczos
from thalweg.exec.memory import MemoryLedger, MemorySink
from thalweg.records import Record
from thalweg.slices import CurvatureMap, Line, Plane

METHODS = {
    "line": Line(steps=11),
    "plane": Plane(steps=4),
    "curvature": Plane(steps=3, fill=CurvatureMap()),
    "spectrum": Lanczos(k=3),  # of 58 parameters: dense
}
DRAWN = ("line", "plane", "curvature")
"""Those whose values are a plan of points."""


def taken(method: Any, objective: Objective, evaluate: Evaluator) -> Record:
    return method(objective, objective.initial, rng=0, evaluate=evaluate)  # type: ignore[no-any-return]


def made(rank: int = 0, *, dtype: torch.dtype = torch.float64, **options: Any) -> tw.EmpiricalRisk:
    return make(rank, **options).to(dtype)


def on(split: str, ranks: int, task: int, method: Any, **options: Any) -> Record:
    recorded = Recorded("p", MemoryLedger(), MemorySink(), task_size=task)
    if split == "rows":
        return on_ranks(ranks, functools.partial(made, **options), lambda risk: taken(method, risk, recorded))
    found, _ = crew.run([made(**options) for _ in range(ranks)], [functools.partial(taken, method)] * ranks, task)
    assert all(isinstance(record, Record) for record in found), found
    return found[0]  # type: ignore[no-any-return]


@functools.cache
def alone(name: str) -> Record:
    """In float64 by one process in one block."""
    return taken(METHODS[name], make(block_rows=53), Recorded("p", MemoryLedger(), MemorySink(), task_size=100))


def apart(found: Record, truth: Record) -> float:
    """The largest difference over the largest value of an array; residuals, which may be tiny, as they are.

    Eigenvectors have a sign that is free.
    """
    arrays = truth.arrays()
    assert found.arrays().keys() == arrays.keys()
    gaps = [0.0]
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name != "eigenvectors":
            size = 1.0 if "residual" in name else float(np.abs(array).max()) or 1.0
            gaps.append(float(np.abs(found.arrays()[name] - array).max()) / size)
    return max(gaps)


CASES = [
    *itertools.product(("points",), DRAWN, ((1, 7, 2), (2, 60, 5), (3, 20, 1))),
    *itertools.product(("rows",), METHODS, ((1, 7, 2), (2, 20, 5), (3, 5, 20))),
]
"""Split, method, and (ranks, rows of a block, points of a task)."""


@pytest.mark.parametrize(("split", "name", "cut"), CASES)
def test_records_are_equal(split: str, name: str, cut: tuple[int, int, int]) -> None:
    ranks, block_rows, task = cut
    backend = ("loop", "stacked", "vmap")[ranks - 1]
    found = on(split, ranks, task, METHODS[name], block_rows=block_rows, backend=backend)
    assert apart(found, alone(name)) <= 1e-12


@pytest.mark.parametrize("split", ["points", "rows"])
def test_in_float32_they_are_equal_to_its_tolerance(split: str) -> None:
    most = made(dtype=torch.float32).tolerance
    assert most <= 1e-4
    gaps = [
        apart(on(split, ranks, 3, METHODS["plane"], block_rows=block, dtype=torch.float32), alone("plane"))
        for ranks, block in ((1, 53), (2, 7), (3, 20))
    ]
    assert 1e-9 < max(gaps) <= most  # it is float32 that is compared


def test_a_row_too_few_or_another_seed_would_be_seen() -> None:
    for other in ({"rows": 52}, {"seed": 1}):
        assert apart(on("rows", 2, 5, METHODS["plane"], **other), alone("plane")) > 1e-6  # type: ignore[arg-type]


def test_float64_tells_a_sum_in_float32_from_its_own() -> None:
    risk = make()
    single = tw.slices.Plane(steps=4)(risk.to(torch.float32), risk.to(torch.float32).initial, rng=0)
    assert apart(single, alone("plane")) > 1e-9
