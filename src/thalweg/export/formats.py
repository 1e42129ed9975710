"""Which formats there are, and writing a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from thalweg.errors import InputError, StoreError
from thalweg.records import Record


def save(record: Record, path: Path, format: str | None = None) -> Path:
    """Write a record; see :func:`thalweg.export.save`."""
    chosen = (format or path.suffix.removeprefix(".")).lower()
    if chosen not in FORMATS:
        asked = f"format={chosen!r} is unknown" if chosen else f"{path} has no ending"
        raise InputError(f"{asked}: choose {', '.join(FORMATS)}")
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file in it")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        FORMATS[chosen](record, partial)
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def load(path: Path) -> Record:
    """Read a record; see :func:`thalweg.export.load`."""
    from thalweg.export.npz import read_npz
    from thalweg.export.surface_file import read_surface_file

    if path.suffix.lower() in SURFACE_FILES:
        return read_surface_file(path)
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    raise StoreError(f"{path} is no file that a record is read from: give an .npz, or {', '.join(SURFACE_FILES)}")


def _picture(ending: str) -> Callable[[Record, Path], None]:
    def write(record: Record, path: Path) -> None:
        from thalweg.plot.static import render

        path.write_bytes(render(record, ending))

    return write


def _page(record: Record, path: Path) -> None:
    from thalweg.report import Section, page

    name = record.record_type[0].upper() + record.record_type[1:]
    section = Section(
        f"the-{record.record_type}", name, str(record.provenance.method.get("name", name)), {record.record_type: record}
    )
    path.write_text(page(", ".join(record.provenance.points) or name, [section], lead=record.summary), encoding="utf-8")


def _image(record: Record, path: Path) -> None:
    from thalweg.export.mesh import vti

    path.write_bytes(vti(record))


def _mesh(record: Record, path: Path) -> None:
    from thalweg.export.mesh import vtp

    path.write_bytes(vtp(record))


def _arrays(record: Record, path: Path) -> None:
    from thalweg.export.npz import npz

    path.write_bytes(npz(record))


def _netcdf(record: Record, path: Path) -> None:
    from thalweg.export.dataset import netcdf

    netcdf(record, path)


def _table(record: Record, path: Path) -> None:
    from thalweg.export.table import table

    path.write_text(table(record), encoding="utf-8")


FORMATS: dict[str, Callable[[Record, Path], None]] = {
    "png": _picture("png"),
    "svg": _picture("svg"),
    "pdf": _picture("pdf"),
    "html": _page,
    "vti": _image,
    "vtp": _mesh,
    "npz": _arrays,
    "nc": _netcdf,
    "csv": _table,
}
"""Each format's writer, by its ending."""

SURFACE_FILES = (".h5", ".hdf5")
"""Endings of the HDF5 surface files of loss-landscape."""
