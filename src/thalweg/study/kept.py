"""Records that are already there: in a study, in a folder of their own, or in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thalweg.errors import StoreError, ThalwegError
from thalweg.export import load
from thalweg.records import Record
from thalweg.store import read_record
from thalweg.zoo import SUBJECTS

FILES = (".npz", ".h5", ".hdf5")
"""Endings of files that hold one record."""

FILES_SAID = ", ".join(FILES)


@contextmanager
def believed(path: str | Path) -> Iterator[None]:
    """Show what was read; what fails because values contradict each other, which a checksum cannot tell, is one line.

    Raises
    ------
    StoreError
        If it fails in a way that is no refusal.
    """
    try:
        yield
    except (ThalwegError, OSError, MemoryError):
        raise
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StoreError(f"{path} holds values that contradict each other ({line}): use another copy") from error


def is_kept(name: str) -> bool:
    """Whether a name means records that are there, and no subject; what the zoo calls its own is a subject."""
    path = Path(name)
    return name not in SUBJECTS and (path.is_dir() or path.suffix.lower() in FILES)


def one(name: str, record: str | None = None, fits: Callable[[Record], bool] | None = None) -> tuple[str, Record]:
    """The one record of a study, or the one called ``record``, or the one of a folder or file, with its name.

    Of several records, the only one that ``fits`` is meant.

    Raises
    ------
    StoreError
        If there is none, or there are several.
    """
    path = Path(name)
    if path.suffix.lower() in FILES:
        return path.stem, load(path)
    if path.suffix == ".zarr":
        return path.stem, read_record(path)
    held = {p.stem: p for p in sorted((path / "records").glob("*.zarr"))}
    if not held:
        raise StoreError(
            f"{name} holds no record: give a study directory, …/records/NAME.zarr, or a file ({FILES_SAID})"
        )
    if record is not None:
        if record not in held:
            raise StoreError(f"{name} holds no record {record!r}: it has {', '.join(held)}")
        return record, read_record(held[record])
    if len(held) == 1:
        return next((n, read_record(p)) for n, p in held.items())
    found = {n: r for n, r in ((n, read_record(p)) for n, p in held.items()) if fits is not None and fits(r)}
    if len(found) != 1:
        raise StoreError(f"{name} holds {len(held)} records ({', '.join(held)}): name one by --record")
    return next(iter(found.items()))
