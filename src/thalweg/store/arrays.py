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

    Losses are noise to a compressor, so there is none.
    """
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=tuple(max(1, c) for c in chunks),
        compressors=None,
        fill_value=0,
    )


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Writing arrays: every chunk is written, and a failure of the file system becomes one line.

    Raises
    ------
    StoreError
        With the path and what the system said.
    """
    try:
        # Chunks that equal the fill value are written too: a chunk of zeros must be told from a missing one.
        with zarr.config.set({"array.write_empty_chunks": True}):
            yield
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror or error}; free space or permissions, then the same command with --resume"
        ) from error
