"""Rank 0: it alone owns the ledger, hands out tasks, and keeps what the other ranks send back."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator, Outcome, Plan, Progress
from thalweg.core.recorded import Recorded, Share
from thalweg.errors import StoreError
from thalweg.exec.distributed import Team
from thalweg.exec.messages import await_key, forget, receive, send
from thalweg.exec.patience import patience
from thalweg.records import Cost, Record, encode, pack
from thalweg.records.codec import decode


@dataclass(frozen=True)
class _Shared:
    """A plan whose tasks are handed out."""

    recorded: Recorded
    tasks: int
    size: int
    tell: Callable[[], None]


class Leader:
    """What rank 0 says to all others, in one order, and what it answers each of them.

    ``log/n`` are the announcements: "plan", whose tasks the others may ask for; "values", all of its values; and
    "record", the end of a piece of work. ``mail/n`` are the questions of the others, each with the last result.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        self._said = 0
        self._shared: dict[int, _Shared] = {}
        self._alone: set[str] = set()
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tasks of other ranks", daemon=True)
        if team.size > 1:
            self._thread.start()

    def close(self, error: BaseException | None = None) -> None:
        """Answer no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def begin(self, out: Path) -> None:
        """Remember, beyond a restart of all ranks, that the study in this directory is theirs."""
        self.team.lasting.set(f"thalweg/begun/{out.resolve()}", "1")

    def had_begun(self, out: Path) -> bool:
        """Whether the ranks were started again, and had begun the study in this directory before."""
        return self.team.restarts > 0 and self.team.lasting.check([f"thalweg/begun/{out.resolve()}"])

    def say(self, kind: str, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> int:
        """Tell all other ranks; the number of the announcement."""
        number, self._said = self._said, self._said + 1
        if self.team.size > 1:
            send(self.team.store, f"log/{number}", {"kind": kind, **header}, arrays)
        return number

    def finished(self, name: str, record: Record) -> None:
        """Say that a piece of work is done; the others take this record for theirs."""
        metadata, arrays = pack(record)
        self.say("record", {"name": name, "record": metadata}, arrays)

    @contextmanager
    def sharing(
        self, agreed: Mapping[str, Any], recorded: Recorded, plan: Plan, settled: Mapping[str, Any]
    ) -> Iterator[None]:
        """Hand the tasks of a plan to all who ask, until it is done; ``agreed`` is what all must have the same."""
        size = int(settled["task_size"])
        tasks = -(-len(plan.points) // size)
        header = {"name": recorded.name, "settled": encode(settled), "agreed": encode(agreed), "points": digest(plan)}
        # Entered before it is announced: the first question may come at once.
        self._shared[self._said] = _Shared(recorded, tasks, size, lambda: recorded.tell(len(plan.points), size))
        number = self.say("plan", header)
        try:
            yield
        finally:
            del self._shared[number]

    def watching(self, watch: Progress | None) -> Progress:
        """``watch``, which also ends this rank where another one, or the thread that answers, has failed.

        A process that is killed says nothing, and its task never comes back: that is waited for as long as
        ``THALWEG_PATIENCE`` says.
        """
        most, last = patience(), (0, time.monotonic())

        def told(done: int, total: int) -> None:
            nonlocal last
            if self._error is not None:
                raise self._error
            if done != last[0]:
                last = done, time.monotonic()
            elif self._shared and most is not None and time.monotonic() - last[1] > most:
                raise StoreError(
                    f"no task has come back for {most:g} s: a rank is gone or hangs; start all ranks again, with --out "
                    "and --resume they go on, or raise THALWEG_PATIENCE"
                )
            if watch is not None:
                watch(done, total)

        return told

    def share(self, agreed: Callable[[], Mapping[str, Any]]) -> Share:
        """:meth:`sharing` for a :class:`~thalweg.core.recorded.Recorded`; ``agreed`` is asked when a plan begins."""
        return lambda recorded, plan, settled: self.sharing(agreed(), recorded, plan, settled)

    def alone(self, name: str) -> None:
        """Say on stderr, once, that this piece of work is done by this rank."""
        if self.team.size > 1 and name not in self._alone:
            self._alone.add(name)
            others = "the other rank waits" if self.team.size == 2 else f"the other {self.team.size - 1} ranks wait"
            line = f"each step of {name!r} follows from the one before: rank 0 takes them, {others}"
            print(f"thalweg: {line}", file=sys.stderr, flush=True)

    def _serve(self) -> None:
        number = 0
        try:
            while True:
                number += 1
                key = f"mail/{number}"
                if not await_key(self.team.mail, key, self._stopped.is_set):
                    return
                header, arrays = receive(self.team.mail, key)
                forget(self.team.mail, key)
                if "failed" in header:
                    raise StoreError(f"rank {header['rank']}: {header['failed']}")
                task = self._answer(header, arrays)
                self.team.mail.set(f"answer/{number}", "-" if task is None else str(task))
        except BaseException as error:  # raised in the thread that works, at its next look
            self._error = error

    def _answer(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> int | None:
        """Keep the result that came with a question; the task that is next, or None."""
        shared = self._shared.get(header["plan"])
        if shared is None:  # over, and asked for by a rank that comes late
            return None
        recorded = shared.recorded
        if "task" in header:
            task = int(header["task"])
            checksum = recorded.sink.write(recorded.name, task * shared.size, arrays)
            recorded.ledger.finish(recorded.name, task, checksum, decode(header["cost"], Cost))
            shared.tell()
        return recorded.ledger.claim(recorded.name, shared.tasks)


def digest(plan: Plan) -> str:
    """A digest of a plan's points, to tell that all ranks have the same."""
    points = plan.points.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.blake2b(points.tobytes(), digest_size=8).hexdigest()


class Leading(Evaluator):
    """Carries out plans with the other ranks; what no plan is, alone. ``recorded`` is what keeps the values."""

    def __init__(self, leader: Leader, recorded: Recorded) -> None:
        self._leader, self._recorded = leader, recorded

    def __call__(self, plan: Plan) -> Outcome:
        """Share the plan, and tell everybody all of its values."""
        outcome = self._recorded(plan)
        self._leader.say("values", {"cost": encode(outcome.cost)}, outcome.values)
        return outcome

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state."""
        self._leader.alone(self._recorded.name)
        self._recorded.checkpoint(state)

    def restore(self) -> dict[str, np.ndarray] | None:
        """The state last kept."""
        self._leader.alone(self._recorded.name)
        return self._recorded.restore()

    def progress(self, done: int, total: int) -> None:
        """Tell who watches."""
        self._recorded.progress(done, total)
