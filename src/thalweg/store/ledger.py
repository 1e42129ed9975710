"""Which tasks of a study are done: the only thing a resume believes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from thalweg import limits
from thalweg.errors import StoreError
from thalweg.records import Cost, encode
from thalweg.store.database import Database
from thalweg.store.lease import Owner

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS plans (name TEXT PRIMARY KEY, settings TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS tasks (
        plan TEXT NOT NULL, task INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
        host TEXT, pid INTEGER, started TEXT, leased REAL, attempts INTEGER NOT NULL DEFAULT 0,
        checksum TEXT, cost TEXT, PRIMARY KEY (plan, task))""",
    "CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, state TEXT NOT NULL, checksum TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, checksums TEXT NOT NULL)",
)

_MEASURED = ("task_size", "road")
"""Settings that are chosen by timing: the first caller's are obeyed, and never compared."""


_HARMED = "it was damaged; begin the study in another directory"


def _gone(host: object, pid: object, started: object, leased: object) -> bool:
    """Whether nobody holds a lease; what is no lease is held by nobody."""
    if not (isinstance(host, str) and isinstance(pid, int) and isinstance(started, str) and isinstance(leased, float)):
        return True
    return not 0 < pid < 2**31 or Owner(host, pid, started).gone(leased)


class Ledger:
    """Plans and their tasks. A task counts when its row says done, never because its chunk looks filled.

    Any number of processes may share it: a task is leased to one of them, and the lease of a process that has
    ended is given to another.

    Raises
    ------
    StoreError
        If the file is damaged, cannot be written, is locked for long, or the disk is full.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.database = Database(path, _SCHEMA, readonly=readonly)

    @property
    def journal(self) -> str:
        """How SQLite keeps its journal: 'wal', or 'delete' where the file system does not allow that."""
        return self.database.journal

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    def settle(self, plan: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fix a plan's settings; the first caller's win, and a later caller obeys those that were measured.

        Raises
        ------
        StoreError
            If any other setting differs; both values are quoted.
        """
        asked = json.loads(json.dumps(encode(settings)))
        with self.database.exclusive() as db:
            row = db.execute("SELECT settings FROM plans WHERE name = ?", (plan,)).fetchone()
            known = db.execute("SELECT 1 FROM tasks WHERE plan = ? LIMIT 1", (plan,)).fetchone()
            if row is None and known:
                raise StoreError(
                    f"{self.database.path}: tasks of {plan} are there and its settings are gone: {_HARMED}"
                )
            if row is None:
                db.execute("INSERT INTO plans VALUES (?, ?)", (plan, json.dumps(asked)))
                return asked
        fixed: dict[str, Any] = self._parsed(row[0], dict)
        size = fixed.get("task_size", None if known else 1)
        if not isinstance(size, int) or size < 1:
            raise StoreError(f"{self.database.path}: {plan} has task_size={size}: {_HARMED}")
        for key in sorted(set(fixed) | set(asked)):
            if key not in _MEASURED and fixed.get(key) != asked.get(key):
                raise StoreError(
                    f"{self.database.path.parent}: {plan} was begun with {key}={fixed.get(key)} and is now asked with "
                    f"{key}={asked.get(key)}: repeat the first, or use another --out directory"
                )
        return fixed

    def claim(self, plan: str, tasks: int) -> int | None:
        """Lease the lowest task that is neither done nor leased by a living process; None where there is none."""
        with self.database.exclusive() as db:
            (known,) = db.execute("SELECT COUNT(*) FROM tasks WHERE plan = ?", (plan,)).fetchone()
            if known < tasks:
                every = ((plan, task) for task in range(tasks))
                db.executemany("INSERT OR IGNORE INTO tasks (plan, task) VALUES (?, ?)", every)
            rows = db.execute(
                "SELECT task, state, host, pid, started, leased FROM tasks WHERE plan = ? AND state != 'done' "
                "ORDER BY task",
                (plan,),
            )
            free = (row[0] for row in rows if row[1] != "leased" or _gone(*row[2:]))
            task: int | None = next(free, None)
            rows.close()
            if task is not None and not (isinstance(task, int) and 0 <= task < tasks):
                raise StoreError(f"{self.database.path}: {plan} has the task {task!r} of {tasks}: {_HARMED}")
            if task is not None:
                me = Owner.this()
                db.execute(
                    "UPDATE tasks SET state = 'leased', host = ?, pid = ?, started = ?, leased = ?, "
                    "attempts = attempts + 1 WHERE plan = ? AND task = ?",
                    (me.host, me.pid, me.started, time.time(), plan, task),
                )
        return task

    def release(self, plan: str, task: int) -> None:
        """Give a leased task back unfinished, so that this process or another can claim it again."""
        with self.database.exclusive() as db:
            me = Owner.this()
            db.execute(
                "UPDATE tasks SET state = 'pending' WHERE plan = ? AND task = ? AND state = 'leased' "
                "AND host = ? AND pid = ? AND started = ?",
                (plan, task, me.host, me.pid, me.started),
            )

    def renew(self, plan: str) -> None:
        """Say that this process still works on the tasks that it has leased, for those who see it from another host."""
        with self.database.exclusive() as db:
            me = Owner.this()
            db.execute(
                "UPDATE tasks SET leased = ? WHERE plan = ? AND state = 'leased' "
                "AND host = ? AND pid = ? AND started = ?",
                (time.time(), plan, me.host, me.pid, me.started),
            )

    def finish(self, plan: str, task: int, checksum: str, cost: Cost) -> None:
        """Record that a task's arrays are on the disk. A task that is done stays as it is.

        Raises
        ------
        StoreError
            If the task was never claimed, or was done by another process with another result.
        """
        with self.database.exclusive() as db:
            row = db.execute(
                "SELECT state, checksum FROM tasks WHERE plan = ? AND task = ?", (plan, task)
            ).fetchone()  # fmt: skip
            if row is None or row[0] == "pending":
                raise StoreError(f"{self.database.path}: task {task} of {plan} was not claimed: claim it first")
            if row[0] == "done":
                if row[1] != checksum:
                    raise StoreError(
                        f"{self.database.path}: task {task} of {plan} was computed twice, with results {row[1]} and "
                        f"{checksum}: the objective is not deterministic; seed it, and use another --out directory"
                    )
                return
            db.execute(
                "UPDATE tasks SET state = 'done', checksum = ?, cost = ? WHERE plan = ? AND task = ?",
                (checksum, json.dumps(encode(cost)), plan, task),
            )

    def checksums(self, plan: str) -> Mapping[int, str]:
        """The checksum of every task that is done."""
        with self.database.guarded() as db:
            rows = db.execute("SELECT task, checksum FROM tasks WHERE plan = ? AND state = 'done'", (plan,)).fetchall()
        return dict(rows)

    def attempts(self, plan: str) -> Mapping[int, int]:
        """How often each task was begun."""
        with self.database.guarded() as db:
            return dict(db.execute("SELECT task, attempts FROM tasks WHERE plan = ?", (plan,)).fetchall())

    def cost(self, plan: str) -> Cost:
        """The cost of all tasks that are done."""
        with self.database.guarded() as db:
            query = "SELECT cost FROM tasks WHERE plan = ? AND state = 'done' ORDER BY task"
            rows = db.execute(query, (plan,)).fetchall()
        try:
            return sum((Cost(**self._parsed(row[0], dict)) for row in rows), Cost())
        except TypeError as error:
            raise StoreError(f"{self.database.path}: the cost of a task is damaged ({error}): {_HARMED}") from error

    def plans(self) -> list[str]:
        """Every plan that was begun.

        Raises
        ------
        StoreError
            If a name is none.
        """
        with self.database.guarded() as db:
            names = [row[0] for row in db.execute("SELECT name FROM plans ORDER BY rowid").fetchall()]
        if strange := [name for name in names if not isinstance(name, str)]:
            raise StoreError(f"{self.database.path}: the name of a plan is damaged ({strange[0]!r}): {_HARMED}")
        return names

    def note(self, key: str) -> dict[str, Any] | None:
        """The note of that key, a JSON object; None where there is none.

        Raises
        ------
        StoreError
            If it is something else.
        """
        text = self.get("meta", key)
        return None if text is None else self._parsed(text, dict)

    def _parsed(self, text: object, kind: type) -> Any:
        """A JSON text of the ledger; SQLite keeps no checksums, and any text may stand in its place."""
        try:
            found = limits.parsed(text)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.database.path}: {text!r:.60} is no JSON: {_HARMED}") from error
        if not isinstance(found, kind):
            raise StoreError(f"{self.database.path}: {text!r:.60} is no {kind.__name__}: {_HARMED}")
        return found

    def put(self, table: Literal["meta"], key: str, value: str) -> None:
        """Keep a note on the study itself, in place of an earlier one of that key."""
        with self.database.exclusive() as db:
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, value))

    def get(self, table: Literal["meta"], key: str) -> str | None:
        """The note of that key, or None."""
        with self.database.guarded() as db:
            row = db.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])
