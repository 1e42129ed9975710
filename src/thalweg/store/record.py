"""One record as a zarr group: its arrays by name, its metadata and checksums as attributes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from thalweg import records
from thalweg.errors import DamagedError, LimitError, StoreError
from thalweg.records import Record
from thalweg.store.arrays import array_in, checksum, chunks_on_disk, complete, create, opened, portable, values
from thalweg.store.disk import sync_tree, unbroken
from thalweg.store.names import node

_HARMED = "it was damaged after it was written; use another copy, or compute it again in another directory"


def write_record(path: Path, record: Record) -> str:
    """Write a record into a new folder and force it to the disk; returns its checksum.

    The attributes are ``thalweg`` (kind, schema and fields, as :func:`thalweg.records.pack` gives them),
    ``checksums`` (one per array) and ``checksum`` (of both).
    """
    metadata, arrays = records.pack(record)
    metadata, arrays = json.loads(json.dumps(metadata)), portable(arrays)
    sums = {name: checksum({name: array}) for name, array in arrays.items()}
    whole = _digest(metadata, sums)
    attributes = {"thalweg": metadata, "checksums": sums, "checksum": whole}

    def write() -> None:
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(str(path), mode="w", attributes=attributes)
        for name, array in arrays.items():
            create(group, name, array.shape, array.dtype, array.shape)[...] = array
        sync_tree(path)

    with chunks_on_disk(path):
        unbroken(write)
    return whole


def read_record(path: str | Path, expected: str | None = None) -> Record:
    """The record in a zarr group, everything compared with its checksums; nothing is written.

    ``expected`` is the checksum that the ledger keeps. Without it the group's own is believed, which tells
    damage but not a deliberate change.

    Raises
    ------
    StoreError
        If there is no record at the path, or this version cannot read it.
    DamagedError
        If an array or the metadata differ from their checksums; the array is named.
    LimitError
        If a text is longer, or an array sparser, than :mod:`thalweg.limits` allows.
    """
    path = Path(path)
    if not (path / "zarr.json").is_file():
        raise StoreError(f"{path} is no record: give …/records/NAME.zarr of a study directory")
    group, metadata, sums = _header(path)
    if _digest(metadata, sums) != (expected or group.attrs["checksum"]):
        kept_by = "the ledger's" if expected else "their"
        raise DamagedError(f"{path}: its metadata differ from {kept_by} checksum: {_HARMED}")
    arrays = {}
    for name, kept in sums.items():
        try:
            arrays[name] = values(complete(array_in(group, name)))
        except (MemoryError, LimitError):
            raise
        except Exception as error:  # damaged bytes make zarr fail in any way
            raise DamagedError(f"{path}: array {name!r} cannot be read ({_line(error)}): {_HARMED}") from error
        if checksum({name: arrays[name]}) != kept:
            raise DamagedError(f"{path}: array {name!r} differs from its checksum: {_HARMED}")
    known = {node(name) for name in sums}
    for folder in sorted(path.iterdir()):
        if (folder / "zarr.json").exists() and folder.name not in known:
            raise DamagedError(f"{path}: array {folder.name!r} was added after the record was written: remove it")
    return records.unpack(metadata, arrays)


def _header(path: Path) -> tuple[zarr.Group, dict[str, Any], dict[str, str]]:
    try:
        group = opened(path)
        kept = dict(group.attrs)
    except LimitError:
        raise
    except Exception as error:  # damaged bytes make zarr fail in any way
        raise DamagedError(f"{path} cannot be read ({_line(error)}): {_HARMED}") from error
    metadata, sums = kept.get("thalweg"), kept.get("checksums")
    if isinstance(metadata, dict) and isinstance(sums, dict) and "checksum" in kept:
        return group, metadata, {str(name): str(value) for name, value in sums.items()}
    if {"thalweg", "checksums", "checksum"} & set(kept):
        raise DamagedError(f"{path}: its metadata are not whole: {_HARMED}")
    raise StoreError(f"{path} is a zarr group and no record: give …/records/NAME.zarr of a study directory")


def _digest(metadata: object, sums: object) -> str:
    text = json.dumps([metadata, sums], sort_keys=True)
    return checksum({"metadata": np.frombuffer(text.encode(), dtype=np.uint8)})


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
