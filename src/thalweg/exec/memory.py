"""A ledger and a sink that end with the process: a plan is shared out although nothing is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.core.evaluate import Ledger, Sink
from thalweg.records import Cost


class MemoryLedger(Ledger):
    """Which tasks are done, for the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[str, set[int]] = {}
        self._done: dict[str, dict[int, tuple[str, Cost]]] = {}

    def settle(self, plan: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, of which there are no others."""
        return settings

    def claim(self, plan: str, tasks: int) -> int | None:
        """The lowest task that nobody was given."""
        with self._lock:
            given = self._given.setdefault(plan, set())
            task = next((t for t in range(len(given) + 1) if t not in given and t < tasks), None)
            if task is not None:
                given.add(task)
            return task

    def release(self, plan: str, task: int) -> None:
        """Give a task back."""
        with self._lock:
            self._given[plan].discard(task)

    def renew(self, plan: str) -> None:
        """Nobody else takes a task."""
        return

    def finish(self, plan: str, task: int, checksum: str, cost: Cost) -> None:
        """Count a task as done."""
        with self._lock:
            self._done.setdefault(plan, {})[task] = (checksum, cost)

    def checksums(self, plan: str) -> Mapping[int, str]:
        """Of every task that is done."""
        with self._lock:
            return {task: checksum for task, (checksum, _) in self._done.get(plan, {}).items()}

    def cost(self, plan: str) -> Cost:
        """Of all tasks that are done, added in their order."""
        with self._lock:
            return sum((cost for _, (_, cost) in sorted(self._done.get(plan, {}).items())), Cost())


class MemorySink(Sink):
    """Arrays of plans in memory; the state of sequential methods is not kept."""

    def __init__(self) -> None:
        self._arrays: dict[str, dict[str, np.ndarray]] = {}

    def open(self, plan: str, shapes: Mapping[str, tuple[int, ...]], task_size: int) -> None:
        """Make room."""
        self._arrays[plan] = {name: np.full(shape, np.nan) for name, shape in shapes.items()}

    def write(self, plan: str, start: int, arrays: Mapping[str, np.ndarray]) -> str:
        """Keep one task's arrays; their checksum is not needed."""
        for name, array in arrays.items():
            self._arrays[plan][name][start : start + len(array)] = array
        return ""

    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        """All arrays of a plan."""
        return self._arrays[plan]

    def save_state(self, plan: str, state: Mapping[str, np.ndarray]) -> None:
        """Nothing outlives the process."""
        return

    def load_state(self, plan: str) -> dict[str, np.ndarray] | None:
        """None."""
        return None
