"""What a study has written: its records and files, each entered before it is put in its place."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from thalweg.store.database import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """A record's checksum, and whether it is known to be in its place."""

    checksum: str
    finished: bool


class Catalogue:
    """Records, files and marks in the ledger's file.

    A record or file is entered with its checksum first and renamed into place second. Whatever a killed process
    left behind is then known for the study's own, or is not; nothing else is ever replaced or deleted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, name: str) -> Entry | None:
        """A record's entry, or None."""
        with self._database.guarded() as db:
            row = db.execute("SELECT checksum, state FROM records WHERE name = ?", (name,)).fetchone()
        return None if row is None else Entry(row[0], row[1] == "finished")

    def enter_record(self, name: str, checksum: str) -> None:
        """Say that a record is about to be put in its place; a finished one stays as it is."""
        with self._database.exclusive() as db:
            db.execute(
                "INSERT INTO records VALUES (?, 'entered', ?) "
                "ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum WHERE state != 'finished'",
                (name, checksum),
            )

    def finish_record(self, name: str) -> None:
        """Say that a record is in its place."""
        with self._database.exclusive() as db:
            db.execute("UPDATE records SET state = 'finished' WHERE name = ?", (name,))

    def records(self) -> list[str]:
        """The names of all finished records, in the order they were begun."""
        with self._database.guarded() as db:
            rows = db.execute("SELECT name FROM records WHERE state = 'finished' ORDER BY rowid").fetchall()
        return [row[0] for row in rows]

    def file(self, name: str) -> tuple[str, ...] | None:
        """The checksums that a file of the study may have, newest first; None where it wrote none of that name."""
        with self._database.guarded() as db:
            row = db.execute("SELECT checksums FROM files WHERE name = ?", (name,)).fetchone()
        return None if row is None else tuple(row[0].split())

    def enter_file(self, name: str, *checksums: str) -> None:
        """Say that a file is about to be put in its place; the last checksum is of the file it replaces."""
        with self._database.exclusive() as db:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, " ".join(checksums)))

    def files(self) -> list[str]:
        """The names of all files."""
        with self._database.guarded() as db:
            return [row[0] for row in db.execute("SELECT name FROM files ORDER BY name").fetchall()]

    def finished(self) -> bool:
        """Whether the study was ended."""
        with self._database.guarded() as db:
            return db.execute("SELECT 1 FROM meta WHERE key = 'finished'").fetchone() is not None

    def finish(self) -> None:
        """End the study."""
        with self._database.exclusive() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('finished', '1')")


def finished(path: Path) -> bool:
    """Whether the study of the ledger at ``path`` was ended, without changing the file or making one."""
    if not path.is_file():
        return False
    database = Database(path, readonly=True)
    try:
        with database.guarded() as db:
            try:
                return db.execute("SELECT 1 FROM meta WHERE key = 'finished'").fetchone() is not None
            except sqlite3.OperationalError:
                # No table yet, or a journal that a killed process left and that only a writer can clear up:
                # a finished study has neither.
                return False
    finally:
        database.close()
