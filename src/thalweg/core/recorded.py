"""Evaluating what is not yet done: tasks that a ledger has not seen, each kept as one chunk in a sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core.evaluate import Evaluator, Ledger, Outcome, Plan, Progress, Sink
from thalweg.core.heartbeat import beating
from thalweg.errors import StoreError

TASK_SECONDS = 0.5
"""A task is sized to take about this long: short enough to lose little, long enough to be worth a chunk."""


WAIT_SECONDS = 0.2
"""How long to wait before asking again when every open task is leased by another process."""


Share = Callable[["Recorded", Plan, Mapping[str, Any]], AbstractContextManager[None]]
"""Called with (evaluator, plan, settings): while it is entered, others may take tasks of the plan."""


def _unshared(recorded: Recorded, plan: Plan, settled: Mapping[str, Any]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Recorded(Evaluator):
    """Evaluates tasks that the ledger has not yet seen done, and keeps each as one chunk in the sink.

    ``name`` is the plan's name within the study. The size of a task is measured once and then fixed in the
    ledger; every process and every resume obeys it, so that the arrays come out the same bit for bit.
    """

    name: str
    ledger: Ledger
    sink: Sink
    watch: Progress | None = None
    task_size: int | None = None
    share: Share = _unshared

    def __call__(self, plan: Plan) -> Outcome:
        """Evaluate what is not yet done, then read the whole plan back against its checksums."""
        total = len(plan.points)
        asked: dict[str, Any] = {**plan.settings, "points": total}
        if not self.ledger.checksums(self.name):  # else all of this is fixed and need not be measured again
            asked["road"] = dict(plan.measure())
            asked["task_size"] = self.task_size or _task_size(plan)
        settled = self.ledger.settle(self.name, asked)
        size = int(settled["task_size"])
        if settled.get("road"):
            plan.obey(settled["road"])
        shapes = {name: (total, *plan.trailing.get(name, ())) for name in plan.names}
        self.sink.open(self.name, shapes, size)
        self.tell(total, size)
        with self.share(self, plan, settled), beating(lambda: self.ledger.renew(self.name)):
            while len(self.ledger.checksums(self.name)) < -(-total // size):
                if not self._task(plan, size):  # another process is at the last ones
                    time.sleep(WAIT_SECONDS)
                self.tell(total, size)
        values = self.sink.read(self.name, self.ledger.checksums(self.name))
        return Outcome(values, self.ledger.cost(self.name))

    def tell(self, total: int, size: int) -> None:
        """Tell ``watch`` how many points are done, whoever did them."""
        self.progress(min(total, size * len(self.ledger.checksums(self.name))), total)

    def _task(self, plan: Plan, size: int) -> bool:
        """Carry out the next task; False where none is to be had."""
        total = len(plan.points)
        task = self.ledger.claim(self.name, -(-total // size))
        if task is None:
            return False
        start = task * size
        try:
            arrays, cost = plan.timed(start, min(start + size, total))
            self.ledger.finish(self.name, task, self.sink.write(self.name, start, arrays), cost)
        except BaseException:  # an interrupted notebook lives on, and would wait for its own lease for ever
            with suppress(StoreError):
                self.ledger.release(self.name, task)
            raise
        return True

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state in the sink."""
        self.sink.save_state(self.name, state)

    def restore(self) -> dict[str, np.ndarray] | None:
        """The state last kept in the sink."""
        return self.sink.load_state(self.name)

    def progress(self, done: int, total: int) -> None:
        """Tell ``watch``."""
        if self.watch is not None:
            self.watch(done, total)


def _task_size(plan: Plan) -> int:
    """Points per task so that one takes about TASK_SECONDS, and there are no more than 1,024 tasks."""
    total = len(plan.points)
    plan.run(0, 1)  # the first evaluation pays for caches that the others find warm
    clock = time.perf_counter()
    plan.run(0, 1)
    per_point = max(time.perf_counter() - clock, 1e-6)
    return min(total, max(1, round(TASK_SECONDS / per_point), -(-total // 1024)))
