"""One command's work: records that are computed once, kept when there is a directory, and found again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core.evaluate import Evaluator, Inline, Outcome, Plan
from thalweg.core.objective import Objective
from thalweg.core.recorded import Recorded
from thalweg.errors import StoreError
from thalweg.exec import bar
from thalweg.exec.follower import Follower
from thalweg.exec.leader import Leader, Leading
from thalweg.exec.memory import MemoryLedger, MemorySink
from thalweg.exec.roles import role
from thalweg.records import Fingerprint, Record, encode
from thalweg.records.codec import decode
from thalweg.store import Directory


class Session:
    """A study's records and files. Without a directory everything is computed and nothing is kept.

    The directory is looked at when the session begins, so that a wrong one is refused before any work, and
    made when the first value is about to be computed, so that a refused input leaves nothing behind.

    Of several ranks the first alone has a directory. The others carry out the same command, and take every record from
    it. Where a launcher starts all of them again, the study that they had begun is gone on with.
    """

    def __init__(self, out: str | None, request: Mapping[str, Any], resume: bool, *, quiet: bool = False) -> None:
        part = role()
        self._leader = part if isinstance(part, Leader) else None
        self._follower = part if isinstance(part, Follower) else None
        self.out = None if out is None or self._follower is not None else Path(out)
        resume = resume or (self._leader is not None and self.out is not None and self._leader.had_begun(self.out))
        self._request, self._resume, self._quiet = request, resume, quiet
        self._directory: Directory | None = None
        self._fingerprints: dict[int, Fingerprint] = {}
        if self.out is not None and Directory.check(self.out, request, resume=resume):
            self._directory = Directory.open(self.out, request, resume=resume)
        if self._leader is not None and self.out is not None:
            self._leader.begin(self.out)

    @property
    def directory(self) -> Directory:
        """The directory, made if need be."""
        if self._directory is None:
            assert self.out is not None
            self._directory = Directory.open(self.out, self._request, resume=self._resume)
        return self._directory

    def record(self, name: str, objective: Objective, make: Callable[[Evaluator], Record]) -> Record:
        """The record of that name: the stored one, or ``make(evaluator)``, kept before it is returned.

        Raises
        ------
        StoreError
            If the stored record is of another objective; the difference is named.
        """
        if self._follower is not None:
            return self._follower.record(name, objective, make)
        record = self._kept(name, objective, make)
        if self._leader is not None:
            self._leader.finished(name, record)
        return record

    def _kept(self, name: str, objective: Objective, make: Callable[[Evaluator], Record]) -> Record:
        if self.out is None:
            with bar(name, enabled=not self._quiet) as watch:
                if self._leader is None:
                    return make(Inline(watch))
                return make(self.led(Recorded(name, MemoryLedger(), MemorySink(), watch), objective))
        if self._directory is not None:
            found = self._directory.load_record(name)
            if found is not None:
                self._same(name, found, objective)
                return found
        try:
            with bar(name, enabled=not self._quiet) as watch:
                record = make(_Later(self, name, objective, watch))
            self.directory.save_record(name, record)
            self.directory.drop_work(name)
        except StoreError:
            found = None if self._directory is None else self._directory.load_record(name)
            if found is None:
                raise
            self._same(name, found, objective)
            return found  # another process that shares the study was faster: its record is this one, bit for bit
        return record

    def file(self, name: str, write: Callable[[Path], None]) -> Path | None:
        """A file of the study (a figure, a page, a checkpoint), written whole or not at all."""
        if self.out is None:
            return None
        try:
            if not self.directory.finished:
                self.directory.add_file(name, write)
        except StoreError:  # another process that shares the study may have ended it in the meantime
            if not self.directory.finished or name not in self.directory.list_files():
                raise
        return self.out / name

    def path(self, name: str) -> str | None:
        """Where a record is kept."""
        return None if self.out is None else str(self.directory.record_path(name))

    def finish(self) -> None:
        """Nothing more will be computed; the study is from now on returned as it is."""
        if self.out is not None and not self.directory.finished:
            self.directory.finish()

    def settle(self, name: str, objective: Objective) -> None:
        """Note of which objective a record is when its work begins; refuse to go on with another."""
        key, ledger = f"fingerprint of {name}", self.directory.ledger
        kept = ledger.note(key)
        if kept is None:
            ledger.put("meta", key, json.dumps(encode(self._fingerprint(objective))))
        else:
            try:
                found = decode(kept, Fingerprint)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise StoreError(
                    f"{self.out}: what {name!r} is of cannot be read: use another --out directory"
                ) from error
            self._compare(name, found, objective)
        # Sequential methods settle nothing else; a path begun with two threads is not the one of a single thread.
        key, asked = f"numerics of {name}", json.loads(json.dumps(objective.numerics))
        begun = ledger.note(key)
        if begun is None:
            ledger.put("meta", key, json.dumps(asked))
        elif begun != asked:
            option = next(k for k in {**asked, **begun} if asked.get(k) != begun.get(k))
            raise StoreError(
                f"{self.out}: {name!r} was begun with {option}={begun.get(option)} and is now asked with "
                f"{option}={asked.get(option)}: repeat the first, or use another --out directory"
            )
        objective.obey(ledger.note(f"measured for {name}") or {})

    def led(self, recorded: Recorded, objective: Objective) -> Evaluator:
        """The evaluator itself, or one whose plans the other ranks share."""
        leader = self._leader
        if leader is None:
            return recorded

        def agreed() -> dict[str, Any]:
            return {"fingerprint": self._fingerprint(objective), "measured": objective.measured()}

        shared = replace(recorded, watch=leader.watching(recorded.watch), share=leader.share(agreed))
        return Leading(leader, shared)

    def _same(self, name: str, record: Record, objective: Objective) -> None:
        self._compare(name, record.provenance.fingerprint, objective)

    def _compare(self, name: str, kept: Fingerprint, objective: Objective) -> None:
        found = self._fingerprint(objective).differences(kept)
        differences = [d for d in found if not d.startswith("statistics")]
        if differences:
            raise StoreError(
                f"{self.out}: {name!r} is of another objective ({differences[0]}): use another --out directory"
            )

    def _fingerprint(self, objective: Objective) -> Fingerprint:
        if id(objective) not in self._fingerprints:
            self._fingerprints[id(objective)] = objective.fingerprint()
        return self._fingerprints[id(objective)]


class _Later(Evaluator):
    """Opens the directory when the first value is asked for."""

    def __init__(
        self, session: Session, name: str, objective: Objective, watch: Callable[[int, int], None] | None
    ) -> None:
        self._session, self._name, self._objective, self._watch = session, name, objective, watch
        self._settled = False
        self._measured = ""

    def _recorded(self) -> Evaluator:
        directory = self._session.directory
        if not self._settled:
            self._session.settle(self._name, self._objective)
            self._settled = True
        recorded = Recorded(self._name, directory.ledger, directory.sink, self._watch)
        return self._session.led(recorded, self._objective)

    def __call__(self, plan: Plan) -> Outcome:
        return self._recorded()(plan)

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        recorded, measured = self._recorded(), json.dumps(self._objective.measured())
        if measured != self._measured:  # what was chosen by timing is obeyed when the work goes on
            self._session.directory.ledger.put("meta", f"measured for {self._name}", measured)
            self._measured = measured
        recorded.checkpoint(state)

    def restore(self) -> dict[str, np.ndarray] | None:
        return self._recorded().restore()

    def progress(self, done: int, total: int) -> None:
        if self._watch is not None:
            self._watch(done, total)
