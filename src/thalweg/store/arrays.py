"""Arrays on disk: zarr groups without compression, and the checksums that tell whether they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from thalweg.errors import StoreError


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """A digest of names, dtypes, shapes and every bit of the values; 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def create(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> zarr.Array:
    """An array that is written chunk by chunk.

    Losses are noise to a compressor, so there is none. Chunks that equal the fill value are written too:
    NaN is a legal loss, and a chunk of NaN must be told from a chunk that is missing.
    """
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=tuple(max(1, c) for c in chunks),
        compressors=None,
        fill_value=np.nan if np.issubdtype(dtype, np.floating) else 0,
        config={"write_empty_chunks": True},
    )


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turns failures of the file system into one line.

    Raises
    ------
    StoreError
        With the path and what the system said.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror or error}; free space or permissions, then the same command with --resume"
        ) from error
