"""One record as a zarr group: its arrays by name, its metadata and checksums as attributes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import zarr

from thalweg import records
from thalweg.errors import DamagedError, StoreError
from thalweg.records import Record
from thalweg.store.arrays import checksum, create, on_disk


def write_record(path: Path, record: Record) -> str:
    """Write a record beside its place, then rename it there; returns its checksum."""
    metadata, arrays = records.pack(record)
    sums = {name: checksum({name: array}) for name, array in arrays.items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        group = zarr.open_group(str(partial), mode="w")
        for name, array in arrays.items():
            create(group, name, array.shape, array.dtype, array.shape)[...] = array
        group.attrs.update({"thalweg": metadata, "checksums": sums})
        partial.rename(path)
    return _digest(metadata, sums)


def read_record(path: str | Path, expected: str | None = None) -> Record:
    """The record in a zarr group, every array compared with its checksum.

    Raises
    ------
    StoreError
        If there is no record at the path, or this version cannot read it.
    DamagedError
        If an array or the metadata differ from their checksums; the array is named.
    """
    path = Path(path)
    if not (path / "zarr.json").is_file():
        raise StoreError(f"{path} is no record: give …/records/NAME.zarr of a study directory")
    try:
        group = zarr.open_group(str(path), mode="r")
        metadata, sums = group.attrs["thalweg"], group.attrs["checksums"]
        arrays = {name: np.asarray(array[...]) for name, array in group.arrays()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} cannot be read ({error}): it was damaged after it was written") from error
    assert isinstance(metadata, dict) and isinstance(sums, dict)
    for name in sorted(set(sums) | set(arrays)):
        if name not in arrays or checksum({name: arrays[name]}) != sums.get(name):
            raise DamagedError(f"{path}: array {name!r} differs from its checksum: it was damaged after it was written")
    if expected is not None and _digest(metadata, sums) != expected:
        raise DamagedError(
            f"{path}: its metadata differ from the ledger's checksum: it was changed after it was written"
        )
    return records.unpack(metadata, arrays)


def _digest(metadata: object, sums: object) -> str:
    text = json.dumps([metadata, sums], sort_keys=True)
    return checksum({"metadata": np.frombuffer(text.encode(), dtype=np.uint8)})
