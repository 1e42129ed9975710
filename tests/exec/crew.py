"""Ranks as threads of one process: the protocol without a launcher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.distributed import HashStore

from thalweg.core.evaluate import Evaluator, Outcome, Plan
from thalweg.core.objective import Objective
from thalweg.core.recorded import Recorded
from thalweg.exec.distributed import Team
from thalweg.exec.follower import Follower
from thalweg.exec.leader import Leader, Leading
from thalweg.exec.memory import MemoryLedger, MemorySink
from thalweg.records import Record

Make = Callable[[Evaluator], Record]


@dataclass
class Counting(Evaluator):
    """An evaluator that notes which points this rank took."""

    inner: Evaluator
    taken: list[int]
    begin: threading.Barrier | None = None

    def __call__(self, plan: Plan) -> Outcome:
        def fn(points: torch.Tensor) -> Mapping[str, torch.Tensor]:
            if self.begin is not None and not self.taken:
                self.begin.wait(60)
            self.taken.append(len(points))
            return plan.fn(points)

        return self.inner(replace(plan, fn=fn))

    def restore(self) -> Any:
        return self.inner.restore()


def run(
    objectives: list[Objective],
    makes: list[Callable[[Objective, Evaluator], Record]],
    task_size: int | None,
    recorded: Recorded | None = None,
    *,
    at_once: bool = False,
) -> tuple[list[Any], list[list[int]]]:
    """What each rank gets for the record, or its error; and the sizes of the tasks that each took.

    ``at_once``: nobody begins a first task before everybody has one.
    """
    store, size = HashStore(), len(objectives)
    begin = threading.Barrier(size) if at_once else None
    taken: list[list[int]] = [[] for _ in range(size)]
    found: list[Any] = [None] * size

    def lead() -> None:
        leader, objective = Leader(Team(0, size, store, store, store)), objectives[0]
        base = recorded or Recorded("p", MemoryLedger(), MemorySink(), task_size=task_size)

        def agreed() -> dict[str, Any]:
            return {"fingerprint": objective.fingerprint(), "measured": objective.measured()}

        evaluator = Leading(leader, replace(base, watch=leader.watching(None), share=leader.share(agreed)))
        try:
            found[0] = makes[0](objective, Counting(evaluator, taken[0], begin))
            leader.finished("p", found[0])
        except Exception as error:
            found[0] = error
        finally:
            leader.close()

    def follow(rank: int) -> None:
        follower = Follower(Team(rank, size, store, store, store))
        try:
            found[rank] = follower.record(
                "p", objectives[rank], lambda e: makes[rank](objectives[rank], Counting(e, taken[rank], begin))
            )
        except Exception as error:
            found[rank] = error
            follower.close(error)

    threads = [threading.Thread(target=lead), *(threading.Thread(target=follow, args=(r,)) for r in range(1, size))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a rank waits for ever"
    return found, taken
