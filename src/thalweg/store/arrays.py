"""Arrays in zarr groups, without compression, and the checksums that tell whether they are whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BytesCodec

from thalweg import limits
from thalweg.errors import DamagedError, StoreError
from thalweg.store.disk import on_disk
from thalweg.store.names import node

METADATA = "zarr.json"
"""What zarr calls the metadata of a group or an array."""

_KEPT = {np.dtype(code) for code in "?bBhHiIqQefdFD"}


def portable(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays in this machine's byte order; every bit of a NaN stays.

    Raises
    ------
    StoreError
        If an array holds something other than truth values, integers, or real or complex float16 to float64.
    """
    found = {}
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("=")
        if dtype not in _KEPT:
            raise StoreError(
                f"array {name!r} has dtype {array.dtype}: give numbers up to 64 bits wide, or truth values"
            )
        found[name] = _native(array)
    return found


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """The blake2b digest of names, dtypes, shapes and every bit of the values; 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name!r} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@contextmanager
def chunks_on_disk(path: Path) -> Iterator[None]:
    """Writing arrays: :func:`on_disk`, and every chunk is written whatever its values.

    zarr leaves out chunks that equal the fill value; a chunk of zeros must be told from a missing one.
    """
    with on_disk(path), zarr.config.set({"array.write_empty_chunks": True}):
        yield


def create(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> zarr.Array:
    """An array that is written chunk by chunk.

    There is no compression: the low bits of a loss are noise, on which compressors gain a few percent and
    lose the plain layout. Chunk keys are joined by '.', so that all chunks lie in one folder.
    """
    return group.create_array(
        node(name),
        shape=shape,
        dtype=dtype,
        chunks=tuple(max(1, size) for size in chunks),
        compressors=None,
        filters=None,
        fill_value=0,
        chunk_key_encoding={"name": "default", "separator": "."},
    )


def values(array: zarr.Array, part: slice | EllipsisType = ...) -> np.ndarray:
    """What an array holds, in this machine's byte order, bit for bit."""
    return _native(np.asarray(array[part]))


def opened(path: Path) -> zarr.Group:
    """The group at a path, for reading; its metadata are looked at before zarr parses them.

    Raises
    ------
    LimitError
        If they are longer than a text may be.
    OSError, ValueError
        If they are no JSON; zarr raises what it likes where they are no metadata.
    """
    limits.read_json(path / METADATA)
    return zarr.open_group(str(path), mode="r")


def array_in(group: zarr.Group, name: str) -> zarr.Array:
    """The array of that name, laid out as :func:`create` does it.

    Raises
    ------
    KeyError, TypeError
        If there is none, or it is a group.
    DamagedError
        If its chunks are packed, or hold what no record has: what they grow to could not be said before.
    LimitError
        If its metadata are longer than a text may be.
    """
    path = _folder(group, name)
    if (path / METADATA).exists():
        limits.read_json(path / METADATA)
    found = group[node(name)]
    if not isinstance(found, zarr.Array):
        raise TypeError(f"{name!r} is a group")
    plain = all(isinstance(codec, BytesCodec) for codec in getattr(found.metadata, "codecs", (None,)))
    if not plain or found.dtype.newbyteorder("=") not in _KEPT:
        raise DamagedError(f"{path}: its chunks are packed or hold {found.dtype}: give an array that thalweg wrote")
    return found


def complete(array: zarr.Array) -> zarr.Array:
    """The same array, after its chunks were found on the disk, each as long as it must be.

    Raises
    ------
    DamagedError
        If they are fewer or shorter than the array's shape says: it would be made up of nothing.
    LimitError
        If they are mostly holes.
    """
    path = Path(str(array.store_path.store.root)) / array.path  # type: ignore[attr-defined]
    chunk = math.prod(array.chunks) * array.dtype.itemsize
    sizes = {p.name: p.stat().st_size for p in path.iterdir() if p.name.partition(".")[0] == "c"}
    expected = array.nchunks if array.size else 0
    wrong = next((name for name, size in sizes.items() if size != chunk), None)
    if wrong is not None or len(sizes) != expected:
        what = f"{len(sizes):,} chunks of {expected:,}" if wrong is None else f"{wrong} has {sizes[wrong]:,} bytes"
        raise DamagedError(f"{path} has shape {array.shape} in chunks of {chunk:,} bytes, and {what}: use another copy")
    for name in sizes:
        limits.whole(path / name)
    return array


def _folder(group: zarr.Group, name: str) -> Path:
    return Path(str(group.store.root)) / group.path / node(name)  # type: ignore[attr-defined]


def _native(array: np.ndarray) -> np.ndarray:
    dtype = array.dtype.newbyteorder("=")
    return array.astype(dtype, copy=False).view(dtype)  # the view turns an explicit '<' into the native mark
