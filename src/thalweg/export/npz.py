"""A record as an .npz file: every array by its name, and the rest as JSON beside them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from thalweg import limits
from thalweg.errors import LimitError, StoreError
from thalweg.records import Record, pack, unpack
from thalweg.store.archive import array, members

METADATA = "thalweg.json"
"""The member that holds kind, schema and fields; ``numpy.load`` reads the others."""


def npz(record: Record) -> bytes:
    """The bytes of the file, the same for the same record."""
    metadata, arrays = pack(record)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_member(METADATA), json.dumps(metadata))
        for name, array in arrays.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, array, allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), held.getvalue())
    return file.getvalue()


def read_npz(path: str | Path) -> Record:
    """The record in a file that :func:`npz` made; nothing in it is executed.

    Raises
    ------
    StoreError
        If it cannot be read, is damaged, or holds no record.
    LimitError
        If it grows beyond the limit when it is unpacked, see :mod:`thalweg.limits`.
    """
    try:
        held = members(Path(path))
        if METADATA not in held:
            raise StoreError(f"{path} has no member {METADATA}: give an .npz file that holds a record")
        metadata = limits.parsed(held.pop(METADATA))
        return unpack(metadata, {name.removesuffix(".npy"): array(content) for name, content in held.items()})
    except (StoreError, LimitError):
        raise
    except Exception as error:  # damaged bytes fail in any way
        raise StoreError(f"{path} cannot be read as a record ({_line(error)}): use another copy") from error


def _member(name: str) -> zipfile.ZipInfo:
    """A member without the time of writing, so that the same record gives the same file."""
    found = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    found.compress_type = zipfile.ZIP_DEFLATED
    return found


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
