"""Records as files of other programs: pictures, pages, ParaView, NumPy, netCDF, tables; and theirs as records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.export.formats import FORMATS as FORMATS
from thalweg.export.npz import read_npz as read_npz
from thalweg.export.surface_file import read_surface_file as read_surface_file

if TYPE_CHECKING:
    from thalweg.records import Record


def save(record: Record, path: str | Path, format: str | None = None) -> Path:
    """Write a record as a file of that format, by default the one that the ending names; whole or not at all.

    Formats: png, svg, pdf (its figure), html (one self-contained page), vti (a regular grid for ParaView), vtp
    (a surface as a warped mesh, or a path), npz (all of it, to be read again), nc (netCDF), csv (a table).

    Raises
    ------
    InputError
        If there is no such format, or the record's kind has none of it.
    StoreError
        If the file cannot be written.
    """
    from thalweg.export import formats

    return formats.save(record, Path(path), format)


def load(path: str | Path) -> Record:
    """The record in an .npz file that :func:`save` wrote, or in an HDF5 surface file of loss-landscape.

    Raises
    ------
    StoreError
        If the file cannot be read, or is of another kind.
    """
    from thalweg.export import formats

    return formats.load(Path(path))


def to_xarray(record: Record) -> Any:
    """A record as an ``xarray.Dataset``; see :func:`thalweg.export.dataset.to_xarray`."""
    from thalweg.export import dataset

    return dataset.to_xarray(record)
