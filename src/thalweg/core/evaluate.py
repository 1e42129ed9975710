"""Evaluating many points: a plan, what carries it out, and what remembers it.

A plan is cut into tasks, fixed slices of its points. The ledger says which tasks are done; the sink keeps
their arrays. Both are protocols, so that a store, a cluster or nothing at all can stand behind them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.records import Cost

Progress = Callable[[int, int], None]
"""Called with (points done, points in all)."""


@dataclass(frozen=True)
class Plan:
    """``fn`` over ``points``: fn(points [B, …]) -> {name: float64 [B, …]}, one row of output per point.

    ``names`` lists the outputs and ``trailing`` the shape of one point's value where it is no scalar.
    ``meter`` reads the work done so far, so that the cost of a task is a difference of two readings.
    ``settings`` are whatever else must be the same when the plan is resumed (JSON values). ``measure`` makes
    the choices that depend on timing, as JSON values, and ``obey`` makes them again as they once were.
    """

    fn: Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
    points: torch.Tensor
    names: tuple[str, ...]
    trailing: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    meter: Callable[[], Cost] = Cost
    settings: Mapping[str, Any] = field(default_factory=dict)
    measure: Callable[[], Mapping[str, Any]] = dict
    obey: Callable[[Mapping[str, Any]], None] = lambda measured: None

    def __post_init__(self) -> None:
        if len(self.points) == 0:
            raise InputError("a plan of 0 points has nothing to evaluate: give it at least one point")

    def run(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The values at points[start:stop], each float64 [stop − start, …]."""
        values = self.fn(self.points[start:stop])
        return {name: values[name].detach().to("cpu", torch.float64).numpy() for name in self.names}

    def timed(self, start: int, stop: int) -> tuple[dict[str, np.ndarray], Cost]:
        """:meth:`run`, and what it cost."""
        clock, before = time.perf_counter(), self.meter()
        arrays = self.run(start, stop)
        return arrays, _clocked(self.meter() - before, time.perf_counter() - clock)


MEASURED = ("task_size", "road")
"""Settings of a plan that are chosen by timing: the first caller's are obeyed, and never compared."""


class Ledger(Protocol):
    """Which tasks are done. One row per task; a task counts when the ledger says so, never before."""

    def settle(self, plan: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fix the settings of a plan; the first caller's win and every later caller obeys them.

        Raises StoreError, naming the key and both values, when a key other than those ``MEASURED`` differs.
        """

    def claim(self, plan: str, tasks: int) -> int | None:
        """Lease the next task that is neither done nor leased by a living process; None where there is none."""

    def release(self, plan: str, task: int) -> None:
        """Give a leased task back unfinished."""

    def renew(self, plan: str) -> None:
        """Say that this process still works on the tasks that it has leased."""

    def finish(self, plan: str, task: int, checksum: str, cost: Cost) -> None:
        """Record that a task's arrays are written, with their checksum and what they cost."""

    def checksums(self, plan: str) -> Mapping[int, str]:
        """The checksum of every task that is done."""

    def cost(self, plan: str) -> Cost:
        """The cost of all tasks that are done."""


class Sink(Protocol):
    """Where the arrays of a plan go: one chunk per task, written whole and replaced atomically."""

    def open(self, plan: str, shapes: Mapping[str, tuple[int, ...]], task_size: int) -> None:
        """Make room for arrays of these shapes (first axis: points), or find them there."""

    def write(self, plan: str, start: int, arrays: Mapping[str, np.ndarray]) -> str:
        """Write one task's arrays from point ``start`` on; return their checksum."""

    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        """All arrays of a plan; raises DamagedError where a task differs from its checksum."""

    def save_state(self, plan: str, state: Mapping[str, np.ndarray]) -> None:
        """Replace the saved state of a sequential method, atomically."""

    def load_state(self, plan: str) -> dict[str, np.ndarray] | None:
        """The last saved state, or None."""


@dataclass(frozen=True)
class Outcome:
    """What an evaluator hands back: float64 arrays by name, and what all of it cost."""

    values: dict[str, np.ndarray]
    cost: Cost


class Evaluator(ABC):
    """Carries out plans. Sequential methods use ``checkpoint`` and ``restore`` instead of a plan."""

    @abstractmethod
    def __call__(self, plan: Plan) -> Outcome:
        """Evaluate every point of a plan, in order."""

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state of a sequential method, so that an interrupted run goes on from here."""
        return

    def restore(self) -> dict[str, np.ndarray] | None:
        """The state last kept, or None."""
        return None

    def progress(self, done: int, total: int) -> None:
        """Tell whoever watches how far a sequential method has come."""
        return


@dataclass(frozen=True)
class Inline(Evaluator):
    """Evaluates in this process and remembers nothing; the default everywhere."""

    watch: Progress | None = None
    slices: int = 64

    def __call__(self, plan: Plan) -> Outcome:
        """Evaluate in at most ``slices`` parts, telling ``watch`` after each."""
        total = len(plan.points)
        size = total if self.watch is None else max(1, -(-total // self.slices))
        before, clock, parts = plan.meter(), time.perf_counter(), []
        for start in range(0, total, size):
            parts.append(plan.run(start, min(start + size, total)))
            self.progress(min(start + size, total), total)
        values = {name: np.concatenate([part[name] for part in parts]) for name in plan.names}
        spent = plan.meter() - before
        return Outcome(values, _clocked(spent, time.perf_counter() - clock))

    def progress(self, done: int, total: int) -> None:
        """Tell ``watch``."""
        if self.watch is not None:
            self.watch(done, total)


def _clocked(cost: Cost, seconds: float) -> Cost:
    return Cost(cost.forwards, cost.backwards, cost.products, cost.rows, seconds)
