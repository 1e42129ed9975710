"""One directory per study: its request, its ledger, its records and the files it wrote."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from thalweg import __version__
from thalweg.errors import InputError, StoreError
from thalweg.records import Record, encode
from thalweg.store.arrays import on_disk
from thalweg.store.files import read_record, write_record
from thalweg.store.ledger import Ledger
from thalweg.store.sink import Sink

SCHEMA = 1
"""The layout of a study directory that this version writes and reads."""


class Directory:
    """A study directory: ``study.json``, ``ledger.sqlite``, ``records/NAME.zarr``, ``work/`` while it runs, files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = Sink(path / "work")

    @cached_property
    def ledger(self) -> Ledger:
        """Which tasks, records and files there are."""
        return Ledger(self.path / "ledger.sqlite")

    @staticmethod
    def check(path: str | Path, request: Mapping[str, Any], *, resume: bool) -> bool:
        """Whether a study is there to be resumed; nothing is written.

        Raises
        ------
        StoreError
            If the path is a file, a foreign directory, not writable, a study without ``resume``, a study of
            another schema, or one that was begun with another request; both values are quoted.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise StoreError(f"--out {path} is a file: give a directory")
        if not path.exists() or not any(path.iterdir()):
            above = path
            while not above.exists():
                above = above.parent
            if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
                raise StoreError(f"--out {path}: {above} cannot be written to; give another directory")
            return False
        if not (path / "study.json").is_file():
            raise StoreError(f"--out {path} holds {_some(path)} and no study: give an empty or a new directory")
        kept = _study(path)
        finished = (path / "ledger.sqlite").is_file() and Directory(path).finished
        if not resume:
            state = "a finished study" if finished else "an unfinished study"
            raise StoreError(f"--out {path} holds {state}: add --resume, or give another directory")
        asked = json.loads(json.dumps(encode(request)))
        for key in sorted(set(kept) | set(asked)):
            if kept.get(key) != asked.get(key):
                raise StoreError(
                    f"--out {path} holds a study with {key}={kept.get(key)}, now {key}={asked.get(key)} is asked: "
                    "repeat the first, or give another directory"
                )
        return True

    @classmethod
    def open(cls, path: str | Path, request: Mapping[str, Any], *, resume: bool) -> Directory:
        """The study at ``path``, made where there is none; refuses what :meth:`check` refuses."""
        directory = cls(Path(path))
        if not cls.check(path, request, resume=resume):
            with on_disk(directory.path):
                directory.path.mkdir(parents=True, exist_ok=True)
                content = {"schema": SCHEMA, "thalweg": __version__, "request": encode(request)}
                partial = directory.path / ".study.json"
                partial.write_text(json.dumps(content, indent=2) + "\n")
                partial.replace(directory.path / "study.json")
        return directory

    @property
    def finished(self) -> bool:
        """Whether the study was ended; nothing in it changes any more."""
        return self.ledger.get("meta", "finished") is not None

    def finish(self) -> None:
        """End the study."""
        self.ledger.put("meta", "finished", "1")

    def record_path(self, name: str) -> Path:
        """Where a record is kept."""
        return self.path / "records" / f"{_named(name)}.zarr"

    def save_record(self, name: str, record: Record) -> None:
        """Commit a record: written whole, renamed into place, then entered in the ledger.

        Raises
        ------
        StoreError
            If one of that name is there: finished records are immutable.
        """
        path = self.record_path(name)
        if self.ledger.get("records", name) is not None:
            raise StoreError(f"{path} is there and finished: use another --out directory")
        if path.exists():  # renamed into place by a process that was killed before the ledger knew
            read_record(path)
            import shutil

            shutil.rmtree(path)
        self.ledger.put("records", name, write_record(path, record))

    def load_record(self, name: str) -> Record | None:
        """The record of that name, compared with its checksums; None where the ledger knows none.

        Raises
        ------
        DamagedError
            If it differs from its checksums.
        """
        expected = self.ledger.get("records", _named(name))
        return None if expected is None else read_record(self.record_path(name), expected)

    @property
    def names(self) -> list[str]:
        """The names of all records, in the order they were finished."""
        return self.ledger.names("records")

    def add_file(self, name: str, write: Callable[[Path], None]) -> Path:
        """A figure, page or checkpoint: ``write(path)`` beside its place, then renamed there.

        Raises
        ------
        StoreError
            If a file of that name is there which the study did not write.
        """
        path = self.path / _named(name)
        if path.exists() and self.ledger.get("files", name) is None:
            raise StoreError(f"{path} is there and was not written by this study: move it away")
        partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
        with on_disk(path):
            try:
                write(partial)
                self.ledger.put("files", name)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def drop_work(self, plan: str) -> None:
        """Remove the working arrays of a plan whose record is finished."""
        self.sink.drop(_named(plan))


def _study(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads((path / "study.json").read_text())
        schema, request = kept["schema"], kept["request"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path / 'study.json'} cannot be read ({error}): give another directory") from error
    if schema != SCHEMA:
        raise StoreError(
            f"{path} has schema {schema}, this version reads {SCHEMA}: use thalweg {kept.get('thalweg')} to read it"
        )
    return request


def _named(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"{name!r} is no name for a record or file: use letters, digits, '.', '_' and '-'")
    return name


def _some(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
