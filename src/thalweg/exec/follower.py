"""Every rank but the first: it carries out the same command, and takes tasks and records from rank 0."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg import records
from thalweg.core.evaluate import MEASURED, Evaluator, Outcome, Plan
from thalweg.core.objective import Objective
from thalweg.errors import InputError
from thalweg.exec.distributed import Team
from thalweg.exec.leader import digest
from thalweg.exec.messages import await_key, forget, receive, send
from thalweg.records import Cost, Fingerprint, Record, encode
from thalweg.records.codec import decode

Message = tuple[dict[str, Any], dict[str, np.ndarray]]


class _Overtaken(Exception):
    """The record was finished before this rank came to its plan."""


class Follower:
    """Reads what rank 0 announces, in order. What this rank computes itself is thrown away for rank 0's."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self._read = 0
        self._ahead: Message | None = None

    def record(self, name: str, objective: Objective, make: Callable[[Evaluator], Record]) -> Record:
        """Rank 0's record of that name; this rank makes it too only where rank 0 has a plan to share.

        Raises
        ------
        InputError
            If this rank has another objective, or is at another piece of work.
        """
        while True:
            header, arrays = self.ahead()
            if header["name"] != name:
                raise self.differs(f"is at {name!r} where rank 0 is at {header['name']!r}")
            if header["kind"] == "record":
                self.advance()
                return records.unpack(header["record"], arrays)
            self._agree(header["agreed"], objective)
            try:
                make(_Helping(self, objective))
            except _Overtaken:
                continue

    def ahead(self) -> Message:
        """The next announcement, waited for; it stays the next one."""
        if self._ahead is None:
            key = f"log/{self._read}"
            await_key(self.team.store, key)
            self._ahead = receive(self.team.store, key)
            if self.team.store.add(f"{key}/read", 1) == self.team.size - 1:  # the last to read it
                forget(self.team.store, key)
        return self._ahead

    def behind(self) -> bool:
        """Whether the next announcement was made already."""
        return self.team.store.check([f"log/{self._read}"])

    def advance(self) -> int:
        """Go on to the announcement after the next, whose number this is."""
        self._read, self._ahead = self._read + 1, None
        return self._read - 1

    def close(self, error: BaseException | None = None) -> None:
        """Tell rank 0 why this rank ends, where it does too early."""
        if error is not None:
            number = self.team.store.add("mail", 1)
            line = " ".join(f"{type(error).__name__}: {error}".split())
            send(self.team.store, f"mail/{number}", {"failed": line, "rank": self.team.rank})

    def differs(self, how: str) -> InputError:
        """The error of a rank that is unlike rank 0."""
        return InputError(f"rank {self.team.rank} {how}: give every rank the same subject, data, options and seed")

    def _agree(self, agreed: Mapping[str, Any], objective: Objective) -> None:
        kept = objective.fingerprint().differences(decode(agreed["fingerprint"], Fingerprint))
        if kept:
            raise self.differs(f"has another objective than rank 0 ({kept[0]})")
        objective.obey(agreed["measured"])


class _Helping(Evaluator):
    """Takes tasks of rank 0's plan until none is left, and hands back the values of all."""

    def __init__(self, follower: Follower, objective: Objective) -> None:
        self._follower, self._objective = follower, objective

    def __call__(self, plan: Plan) -> Outcome:
        follower = self._follower
        header, _ = follower.ahead()
        if header["kind"] == "record":
            raise _Overtaken
        number = follower.advance()
        settled = header["settled"]
        self._same(plan, settled, header["points"])
        if settled.get("road"):
            plan.obey(settled["road"])
        size, total = int(settled["task_size"]), len(plan.points)
        task = self._next({"plan": number}, {})
        while task is not None:
            arrays, cost = plan.timed(task * size, min((task + 1) * size, total))
            task = self._next({"plan": number, "task": task, "cost": encode(cost)}, arrays)
        header, values = follower.ahead()
        if header["kind"] == "record":
            raise _Overtaken
        follower.advance()
        return Outcome(values, decode(header["cost"], Cost))

    def _next(self, question: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> int | None:
        """Send a result, if there is one, and ask for the next task."""
        store = self._follower.team.store
        number = store.add("mail", 1)
        send(store, f"mail/{number}", question, arrays)
        key = f"answer/{number}"
        # Once rank 0 goes on, no task of the plan is left, and it may answer no more.
        if not await_key(store, key, self._follower.behind):
            return None
        answer = store.get(key)
        store.delete_key(key)
        return None if answer == b"-" else int(answer)

    def _same(self, plan: Plan, settled: Mapping[str, Any], points: str) -> None:
        """Refuse a plan that is not rank 0's."""
        asked = json.loads(json.dumps(encode({**plan.settings, "points": len(plan.points)})))
        for key in sorted((set(asked) | set(settled)) - set(MEASURED)):
            here, there = asked.get(key), settled.get(key)
            if key == "device":  # every rank has a GPU of its own
                here, there = str(here).partition(":")[0], str(there).partition(":")[0]
            if here != there:
                raise self._follower.differs(f"has {key}={here} where rank 0 has {there}")
        if digest(plan) != points:
            raise self._follower.differs("has other points than rank 0")
