"""Ranks that are threads of one process: what is said is packed and unpacked as between processes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

import thalweg as tw
from thalweg.core.channel import Channel, Message
from thalweg.exec.gloo import packed, unpacked
from thalweg.exec.rows import let_go, over_rows

T = TypeVar("T")


class Threads(Channel):
    """Rank ``rank`` of ``size``; ``told`` and ``sent`` are queues per rank."""

    def __init__(self, rank: int, told: list[queue.Queue], sent: list[queue.Queue]) -> None:
        self.rank, self.size = rank, len(told)
        self.told, self.sent = told, sent

    def tell(self, message: Message) -> None:
        for rank in range(1, self.size):
            self.told[rank].put(packed(message))

    def hear(self) -> Message:
        return unpacked(self.told[self.rank].get())  # for ever where a failed rank 0 says no more: a daemon may

    def send(self, message: Message) -> None:
        self.sent[self.rank].put(packed(message))

    def receive(self, rank: int) -> Message:
        return unpacked(self.sent[rank].get(timeout=60))


def on_ranks(
    size: int, make: Callable[[int], tw.EmpiricalRisk], work: Callable[[tw.EmpiricalRisk], T], leaves: bool = True
) -> T:
    """``work`` on rank 0 with rows over ``size`` ranks; ``make(rank)`` gives each its objective.

    ``leaves`` is whether the others are let go; after a failure they end with their process.
    """
    told, sent = ([queue.Queue() for _ in range(size)] for _ in range(2))
    others = [
        threading.Thread(target=lambda r=r: over_rows(make(r), Threads(r, told, sent)), daemon=True)
        for r in range(1, size)
    ]
    for thread in others:
        thread.start()
    objective = over_rows(make(0), Threads(0, told, sent))
    assert isinstance(objective, tw.EmpiricalRisk)
    try:
        return work(objective)
    finally:
        let_go(objective)
        for thread in others if leaves else ():
            thread.join(timeout=60)
        assert not leaves or not any(thread.is_alive() for thread in others)
