"""One SQLite file: its journal, its transactions, and its errors as one line each."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thalweg import limits
from thalweg.errors import StoreError

BUSY_SECONDS = 30.0
"""How long to wait for another process that is writing."""

_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
}  # fmt: skip

_REMEDIES = {
    sqlite3.SQLITE_FULL: "free disk space, then the same command with --resume",
    sqlite3.SQLITE_IOERR: "free disk space or mend the disk, then the same command with --resume",
    sqlite3.SQLITE_BUSY: "another process is writing; end it, then the same command with --resume",
    sqlite3.SQLITE_LOCKED: "another process is writing; end it, then the same command with --resume",
    sqlite3.SQLITE_READONLY: "make the directory writable, or give another one",
    sqlite3.SQLITE_PERM: "make the directory writable, or give another one",
    sqlite3.SQLITE_CANTOPEN: "make the directory writable, or give another one",
    sqlite3.SQLITE_CORRUPT: "it was damaged; begin the study in another directory",
    sqlite3.SQLITE_NOTADB: "it was damaged; begin the study in another directory",
}


_PROGRAMS = (
    "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%' OR "
    "sql LIKE '%GENERATED%' OR sql LIKE '% AS (%' LIMIT 1"
)
"""What would run when a table is read or written: nothing that this program makes."""


class Database:
    """A connection that several threads may share; a forked child opens one of its own.

    Write-ahead logging lets readers look while a writer commits. It needs memory shared between the processes,
    which network file systems do not give: there, and wherever SQLite refuses it, a rollback journal is kept.
    ``journal`` says which ('wal' or 'delete').

    Raises
    ------
    StoreError
        If the file is damaged, cannot be written, is locked for long, or the disk is full.
    """

    def __init__(self, path: Path, schema: tuple[str, ...] = (), *, readonly: bool = False) -> None:
        self.path = path
        self._mode = "ro" if readonly else "rwc"
        self._connect()
        with self.guarded() as db:
            self.journal = str(db.execute("PRAGMA journal_mode").fetchone()[0]) if readonly else self._settle_journal()
        if schema and not readonly:
            with self.exclusive() as db:
                for statement in schema:
                    db.execute(statement)

    def close(self) -> None:
        """Let go of the file."""
        if self._pid == os.getpid():
            self._db.close()

    def __del__(self) -> None:
        if hasattr(self, "_db"):
            self.close()

    @contextmanager
    def guarded(self) -> Iterator[sqlite3.Connection]:
        """The connection, for reading; an error of SQLite becomes one line."""
        if self._pid != os.getpid():
            self._inherited = self._db  # closing it here would take the parent's locks
            self._connect()
        try:
            with self._lock:
                yield self._db
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", -1) & 0xFF
            remedy = _REMEDIES.get(code, "the same command with --resume goes on from here")
            raise StoreError(f"{self.path}: {error}: {remedy}") from error
        except UnicodeDecodeError as error:  # in what SQLite says of damage, or in a text
            raise StoreError(f"{self.path}: {error.reason}: {_REMEDIES[sqlite3.SQLITE_CORRUPT]}") from error

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction that no other writer enters; undone where the body raises."""
        with self.guarded() as db:
            if db.in_transaction:  # an interrupt struck between a transaction's last statement and its end
                db.execute("ROLLBACK")
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # a full disk has already undone it
                    db.execute("ROLLBACK")
                raise

    def fold(self) -> None:
        """Make the file stand alone, without the files that write-ahead logging keeps beside it.

        It can then be copied, and read from a disk that cannot be written. Another process that has it open
        prevents this, and nothing is lost.
        """
        with self.guarded() as db:
            try:
                (self.journal,) = db.execute("PRAGMA journal_mode=DELETE").fetchone()
            except sqlite3.OperationalError:
                return

    def _connect(self) -> None:
        self._pid, self._lock = os.getpid(), threading.RLock()
        try:
            self._db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={self._mode}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}: {_REMEDIES[sqlite3.SQLITE_CANTOPEN]}") from error
        with self.guarded() as db:
            db.execute("PRAGMA synchronous=FULL")  # a commit is on the disk before it returns
            db.execute("PRAGMA trusted_schema=OFF")
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(limits.most_bytes() // limits.TEXT_SHARE, 2**30))
            odd = db.execute(_PROGRAMS).fetchone()
        if odd is not None:
            raise StoreError(f"{self.path} holds the {odd[0]} {odd[1]!r}, no table of a study: give another directory")

    def _settle_journal(self) -> str:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                if not on_network(self.path):
                    (mode,) = self._db.execute("PRAGMA journal_mode=WAL").fetchone()
                    if mode == "wal":
                        return "wal"
                (mode,) = self._db.execute("PRAGMA journal_mode=DELETE").fetchone()
                return str(mode)
            except sqlite3.OperationalError as error:
                # Changing the journal does not wait for other processes by itself.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def on_network(path: Path, table: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a path lies on a file system that is shared between machines; False where the system does not say.

    SQLite does not notice: on such a file system it sets write-ahead logging, and two machines then destroy
    the file between them.
    """
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return False
    found, kind = -1, ""
    for line in lines:
        _, mount, name, *_ = line.split()
        folder = Path(mount.replace("\\040", " "))
        if path.resolve().is_relative_to(folder) and len(folder.parts) >= found:  # a later mount covers an earlier
            found, kind = len(folder.parts), name
    return kind in _NETWORK
