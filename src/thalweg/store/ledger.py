"""Which tasks of a study are done: one SQLite file, the only thing a resume believes."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.errors import StoreError
from thalweg.records import Cost, encode

LEASE_SECONDS = 3600.0
"""A lease held on another host counts as abandoned after this long; on this host the process itself is looked at."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS plans (name TEXT PRIMARY KEY, settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (
    plan TEXT NOT NULL, task INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    host TEXT, pid INTEGER, started TEXT, leased REAL, attempts INTEGER NOT NULL DEFAULT 0,
    checksum TEXT, cost TEXT, PRIMARY KEY (plan, task));
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, checksum TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY);
"""


class Ledger:
    """Tasks, records and files of one study. A task counts when its row says done, never because it looks filled.

    Write-ahead logging lets readers look while a writer commits; where the file system does not allow it
    (network file systems), the ledger falls back to a rollback journal, and ``journal`` says so.

    Raises
    ------
    StoreError
        If the file is damaged, locked for long, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._guarded():
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            (self.journal,) = self._db.execute("PRAGMA journal_mode=WAL").fetchone()
            if self.journal != "wal":
                (self.journal,) = self._db.execute("PRAGMA journal_mode=DELETE").fetchone()
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # --- plans and tasks ------------------------------------------------------------------------------

    def settle(self, plan: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fix a plan's settings; the first caller's win, and a later caller obeys its ``task_size``.

        Raises
        ------
        StoreError
            If any other setting differs; both values are quoted.
        """
        asked = json.loads(json.dumps(encode(settings)))
        with self._exclusive():
            row = self._db.execute("SELECT settings FROM plans WHERE name = ?", (plan,)).fetchone()
            if row is None:
                self._db.execute("INSERT INTO plans VALUES (?, ?)", (plan, json.dumps(asked)))
                return asked
        fixed = json.loads(row[0])
        for key in sorted(set(fixed) | set(asked)):
            if key != "task_size" and fixed.get(key) != asked.get(key):
                raise StoreError(
                    f"{self.path.parent}: {plan} was begun with {key}={fixed.get(key)} and is now asked with "
                    f"{key}={asked.get(key)}: repeat the first, or use another --out directory"
                )
        return fixed

    def claim(self, plan: str, tasks: int) -> int | None:
        """Lease the lowest task that is neither done nor leased by a living process; None where there is none."""
        with self._exclusive():
            self._db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
                "INSERT OR IGNORE INTO tasks (plan, task) SELECT ?, i FROM n",
                (tasks, plan),
            )
            rows = self._db.execute(
                "SELECT task, state, host, pid, started, leased FROM tasks WHERE plan = ? AND state != 'done' "
                "ORDER BY task",
                (plan,),
            )
            for task, state, host, pid, started, leased in rows.fetchall():
                if state == "pending" or _abandoned(host, pid, started, leased):
                    self._db.execute(
                        "UPDATE tasks SET state = 'leased', host = ?, pid = ?, started = ?, leased = ?, "
                        "attempts = attempts + 1 WHERE plan = ? AND task = ?",
                        (socket.gethostname(), os.getpid(), _started(os.getpid()), time.time(), plan, task),
                    )
                    return int(task)
        return None

    def finish(self, plan: str, task: int, checksum: str, cost: Cost) -> None:
        """Record that a task's arrays are written."""
        with self._exclusive():
            self._db.execute(
                "UPDATE tasks SET state = 'done', checksum = ?, cost = ? WHERE plan = ? AND task = ?",
                (checksum, json.dumps(encode(cost)), plan, task),
            )

    def checksums(self, plan: str) -> Mapping[int, str]:
        """The checksum of every task that is done."""
        with self._guarded():
            rows = self._db.execute("SELECT task, checksum FROM tasks WHERE plan = ? AND state = 'done'", (plan,))
            return {int(task): checksum for task, checksum in rows.fetchall()}

    def attempts(self, plan: str) -> Mapping[int, int]:
        """How often each task was begun."""
        with self._guarded():
            rows = self._db.execute("SELECT task, attempts FROM tasks WHERE plan = ?", (plan,))
            return {int(task): int(attempts) for task, attempts in rows.fetchall()}

    def cost(self, plan: str) -> Cost:
        """The cost of all tasks that are done."""
        with self._guarded():
            rows = self._db.execute("SELECT cost FROM tasks WHERE plan = ? AND state = 'done'", (plan,)).fetchall()
        return sum((Cost(**json.loads(row[0])) for row in rows), Cost())

    # --- records, files, marks ------------------------------------------------------------------------

    def put(self, table: str, name: str, value: str = "") -> None:
        """Write a row of ``meta``, ``records`` or ``files``."""
        columns = {"meta": "(?, ?)", "records": "(?, ?)", "files": "(?)"}[table]
        with self._exclusive():
            self._db.execute(
                f"INSERT OR REPLACE INTO {table} VALUES {columns}", (name,) if table == "files" else (name, value)
            )

    def get(self, table: str, name: str) -> str | None:
        """The value of a row; the name itself in ``files``; None where there is no such row."""
        column = {"meta": "value", "records": "checksum", "files": "name"}[table]
        key = "key" if table == "meta" else "name"
        with self._guarded():
            row = self._db.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def names(self, table: str) -> list[str]:
        """Every name in ``records`` or ``files``."""
        with self._guarded():
            return [str(row[0]) for row in self._db.execute(f"SELECT name FROM {table} ORDER BY rowid").fetchall()]

    # --- inside ---------------------------------------------------------------------------------------

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path}: {error}; free disk space or end the other process, then use --resume; "
                "a damaged ledger means starting in another directory"
            ) from error

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _abandoned(host: str, pid: int, started: str, leased: float) -> bool:
    if host != socket.gethostname():
        return time.time() - leased > LEASE_SECONDS
    if pid == os.getpid():
        return _started(pid) != started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # alive, and somebody else's
    return _started(pid) != started  # the number was given to another process


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
