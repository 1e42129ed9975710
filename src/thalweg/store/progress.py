"""How far a study in progress is, for whoever looks at it without working on it."""

from __future__ import annotations

from pathlib import Path

from thalweg.store import catalogue, header
from thalweg.store.database import Database


def progress(folder: Path) -> dict[str, tuple[int, int]] | None:
    """Tasks done and tasks in all by name of what is unfinished; None where nothing is, or there is no study.

    A sequential method has no tasks, (0, 0). What a process killed at its first steps left has no names yet.

    Raises
    ------
    StoreError
        If its request or its ledger cannot be read.
    """
    path = folder / "ledger.sqlite"
    if not (folder / header.NAME).is_file():
        return None
    header.read_header(folder)
    if catalogue.finished(path):
        return None
    if not path.is_file():
        return {}
    database = Database(path, readonly=True)
    try:
        with database.guarded() as db:
            made = {row[0] for row in db.execute("SELECT name FROM sqlite_master").fetchall()}
            if not {"meta", "tasks", "records"} <= made:
                return {}
            begun = db.execute(
                "SELECT substr(key, 16) FROM meta WHERE key LIKE 'fingerprint of %' ORDER BY rowid"
            ).fetchall()
            kept = {row[0] for row in db.execute("SELECT name FROM records WHERE state = 'finished'").fetchall()}
            rows = db.execute("SELECT plan, SUM(state = 'done'), COUNT(*) FROM tasks GROUP BY plan").fetchall()
    finally:
        database.close()
    tasks = {plan: (int(done), int(total)) for plan, done, total in rows}
    return {name: tasks.get(name, (0, 0)) for name in [row[0] for row in begun] if name not in kept}


def told(folder: Path, found: dict[str, tuple[int, int]]) -> str:
    """One line on what is unfinished."""
    parts = [f"{name} ({done} of {total} tasks done)" if total else name for name, (done, total) in found.items()]
    what = f" at {', '.join(parts)}" if parts else ""
    return f"{folder} is unfinished{what}; the command it was begun with and --resume goes on"
