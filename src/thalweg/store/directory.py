"""One directory per study: its request, its ledger, its records and the files it wrote."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from thalweg.errors import StoreError
from thalweg.records import Record
from thalweg.store import catalogue, header
from thalweg.store.catalogue import Catalogue
from thalweg.store.disk import commit, digest, on_disk, prune, sync
from thalweg.store.ledger import Ledger
from thalweg.store.names import filed, named
from thalweg.store.record import read_record, write_record
from thalweg.store.sink import Sink


class Directory:
    """A study directory: ``study.json``, ``ledger.sqlite``, ``records/NAME.zarr``, ``work/`` while it runs, files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = Sink(path / "work")

    @cached_property
    def ledger(self) -> Ledger:
        """Which tasks are done; a finished study's is opened for reading only."""
        path = self.path / "ledger.sqlite"
        return Ledger(path, readonly=catalogue.finished(path))

    @cached_property
    def catalogue(self) -> Catalogue:
        """Which records and files there are."""
        return Catalogue(self.ledger.database)

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
        with on_disk(path):
            if path.exists() and not path.is_dir():
                raise StoreError(f"--out {path} is a file: give a directory")
            if path.is_symlink() and not path.exists():
                raise StoreError(f"--out {path} is a link to {path.readlink()}, which is not there: give a directory")
            names = sorted(p.name for p in path.iterdir()) if path.exists() else []
        if all(name.startswith(header.PARTIAL) for name in names):  # a process was killed at its first step, or none
            _writable(path)
            return False
        if header.NAME not in names:
            raise StoreError(f"--out {path} holds {_some(names)} and no study: give an empty or a new directory")
        kept = header.read_header(path)
        finished = catalogue.finished(path / "ledger.sqlite")
        if not resume:
            state = "a finished study" if finished else "an unfinished study"
            raise StoreError(f"--out {path} holds {state}: add --resume, or give another directory")
        header.compare(path, kept, request)
        if not finished:
            _writable(path)
        return True

    @classmethod
    def open(cls, path: str | Path, request: Mapping[str, Any], *, resume: bool) -> Directory:
        """The study at ``path``, made where there is none; refuses what :meth:`check` refuses."""
        path = Path(path)
        # A second process may begin a study here between the look and the first byte: it is looked at again.
        if not cls.check(path, request, resume=resume) and not header.write_header(path, request):
            cls.check(path, request, resume=resume)
        return cls(path)

    def close(self) -> None:
        """Let go of the ledger, and of what an interrupt left half made; the directory can be opened again."""
        with suppress(OSError):
            shutil.rmtree(self._partial, ignore_errors=True)  # it strikes in a clean-up too
            prune(self._partial.parent, self._partial.parent)
        self.__dict__.pop("catalogue", None)
        ledger = self.__dict__.pop("ledger", None)
        if ledger is not None:
            ledger.close()

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def finished(self) -> bool:
        """Whether the study was ended; nothing in it changes any more."""
        return self.catalogue.finished()

    def finish(self) -> None:
        """End the study: what was only needed on the way is removed, and the ledger becomes a single file."""
        if self.finished:
            return
        for name in self.list_records():
            self.drop_work(name)
        with on_disk(self.path):
            shutil.rmtree(self._partial.parent, ignore_errors=True)  # of processes that were killed
            prune(self.path / "work", self.path / "work")
            for left in self.path.glob(f"{header.PARTIAL}-*"):  # of one that was killed at its first step
                left.unlink(missing_ok=True)
        self.catalogue.finish()
        self.ledger.database.fold()

    # --- records ----------------------------------------------------------------------------------------

    def record_path(self, name: str) -> Path:
        """Where a record is kept."""
        return self.path / "records" / f"{named(name)}.zarr"

    def save_record(self, name: str, record: Record) -> None:
        """Commit a record: written whole, entered in the ledger, then renamed into place.

        Raises
        ------
        StoreError
            If one of that name is there (finished records are immutable), or the study is finished.
        """
        path = self.record_path(name)
        self._unfinished()
        if self.has_record(name):
            raise StoreError(f"{path} is there and finished: use another --out directory")
        if path.exists():
            raise StoreError(f"{path} is there and was not written by this study: move it away")
        partial = self._partial / path.name
        try:
            checksum = write_record(partial, record)
            self.catalogue.enter_record(name, checksum)
            with on_disk(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                commit(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # of an interrupt, or a disk that is full
            with suppress(OSError):
                prune(self._partial, self._partial.parent)
        self.catalogue.finish_record(name)

    def has_record(self, name: str) -> bool:
        """Whether a finished record of that name is there.

        One that a killed process had entered and put in its place is found whole here, and finished.

        Raises
        ------
        DamagedError
            If such a one differs from its checksums.
        """
        entry = self.catalogue.record(named(name))
        if entry is None or entry.finished:
            return entry is not None
        if not self.record_path(name).exists():
            return False
        read_record(self.record_path(name), entry.checksum)
        self.catalogue.finish_record(name)
        return True

    def load_record(self, name: str) -> Record | None:
        """The record of that name, compared with its checksums; None where the ledger knows none.

        Raises
        ------
        DamagedError
            If it differs from its checksums, or is gone.
        """
        entry = self.catalogue.record(named(name)) if self.has_record(name) else None
        return None if entry is None else read_record(self.record_path(name), entry.checksum)

    def list_records(self) -> list[str]:
        """The names of all finished records, in the order they were begun."""
        return self.catalogue.records()

    # --- files ------------------------------------------------------------------------------------------

    def add_file(self, name: str, content: bytes | Callable[[Path], object]) -> Path:
        """A figure, page or checkpoint: written elsewhere (``content(path)``), then renamed to its place.

        Raises
        ------
        StoreError
            If a file of that name is there which the study did not write, or which was changed since; or if
            the study is finished.
        """
        path = self.path / filed(name)
        self._unfinished()
        known = self.catalogue.file(name)
        replaced = []
        with on_disk(path):
            if path.exists() or path.is_symlink():
                if known is None or not path.is_file():
                    raise StoreError(f"{path} is there and was not written by this study: move it away")
                replaced = [digest(path)]
                if replaced[0] not in known:
                    raise StoreError(f"{path} was changed since this study wrote it: move it away")
            partial = self._partial / path.name
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                if isinstance(content, bytes):
                    partial.write_bytes(content)
                else:
                    content(partial)
                sync(partial)
                path.parent.mkdir(parents=True, exist_ok=True)
                self.catalogue.enter_file(name, digest(partial), *replaced)
                commit(partial, path)
            finally:
                partial.unlink(missing_ok=True)
                prune(self._partial, self._partial.parent)
        return path

    def list_files(self) -> list[str]:
        """The names of all files that the study wrote."""
        return self.catalogue.files()

    # --- work -------------------------------------------------------------------------------------------

    def drop_work(self, name: str) -> None:
        """Remove the working arrays of the plans ``name`` and ``name/…``, whose record is finished.

        Raises
        ------
        StoreError
            If there is no finished record of that name: the arrays are then all there is of it.
        """
        if not self.has_record(name):
            raise StoreError(f"{self.path} has no record {name!r}: its working arrays are kept; finish it first")
        within = (plan for plan in self.ledger.plans() if plan.startswith(f"{name}/"))
        for plan in (name, *within):
            self.sink.drop(plan)

    @property
    def _partial(self) -> Path:
        """This process's own folder for what is not whole yet."""
        return self.path / "work" / ".partial" / str(os.getpid())

    def _unfinished(self) -> None:
        if self.finished:
            raise StoreError(f"{self.path} is a finished study and changes no more: use another --out directory")


def _writable(path: Path) -> None:
    """Refuse a directory, or the first one above it that exists, where nothing can be made."""
    above = path
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"--out {path}: {above} cannot be written to; give another directory")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
