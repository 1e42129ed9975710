"""Segments compacted into one zarr group, row for row, each row with the digest it was written with."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import zarr

from thalweg.errors import DamagedError, LimitError, StoreError
from thalweg.store.arrays import array_in, checksum, chunks_on_disk, complete, create, opened, values
from thalweg.store.disk import commit, sync_tree
from thalweg.trajectories.segments import Block, Stamp, segment_name
from thalweg.trajectories.segments_layout import RowLayout

T = TypeVar("T")

CHUNK_BYTES = 4 * 2**20
"""Rows are put together into chunks of about this size; a longer row is a chunk of its own."""

_SHORT = ("index", "step", "loss", "learning_rate", "digest")
_HARMED = "copy it from elsewhere, or read the rest with damaged='skip'"
_BITS = {"bfloat16": np.dtype("<u2")}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """How a dtype lies in an array; bfloat16, which numpy does not know, as its bits."""
    return _BITS[name] if name in _BITS else np.dtype(name).newbyteorder("<")


def compact(folder: Path, layout: RowLayout, blocks: Sequence[Block]) -> Path:
    """Write blocks as one zarr group beside them, forced to the disk and then put in its place.

    Arrays: ``index``, ``step``, ``loss``, ``learning_rate`` [T], ``digest`` [T, 16]; unless rows are safetensors,
    ``thetas`` [T, P] or ``sketch`` [T, k], and ``buffers/NAME`` [T, …].

    Raises
    ------
    StoreError
        If the disk is full; the segments are then as good as before.
    DamagedError
        If a block differs from its digest.
    """
    path = folder / segment_name(blocks[0].stamp.index, ".zarr")
    partial = folder / f".{path.name}.partial"
    short = {
        "index": np.array([b.stamp.index for b in blocks], dtype=np.int64),
        "step": np.array([b.stamp.step for b in blocks], dtype=np.int64),
        "loss": np.array([b.stamp.loss for b in blocks]),
        "learning_rate": np.array([b.stamp.rate for b in blocks]),
        "digest": np.array([list(b.digest) for b in blocks], dtype=np.uint8).reshape(len(blocks), 16),
    }
    try:
        with chunks_on_disk(path):
            shutil.rmtree(partial, ignore_errors=True)
            attributes: dict[str, Any] = {"thalweg": "trajectory", "checksum": checksum(short)}
            group = zarr.open_group(str(partial), mode="w", attributes=attributes)
            for name, array in short.items():
                create(group, name, array.shape, array.dtype, array.shape)[...] = array
            if not layout.shards:
                _rows(group, layout, blocks)
            sync_tree(partial)
            commit(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return path


def _columns(layout: RowLayout) -> list[tuple[str, tuple[int, ...], str, int]]:
    """Name, shape of one row, dtype and bytes of a row, in the order of the bytes; the parameters are one vector."""
    buffers = [(f"buffers/{e.name}", e.shape, e.dtype, e.nbytes) for e in layout.buffers]
    if layout.sketch is not None:
        return [("sketch", (layout.sketch,), "float64", 8 * layout.sketch), *buffers]
    first = layout.parameters[0]
    size = sum(e.nbytes for e in layout.parameters)
    return [("thetas", (layout.size,), first.dtype, size), *buffers]


def _rows(group: zarr.Group, layout: RowLayout, blocks: Sequence[Block]) -> None:
    columns, count = _columns(layout), len(blocks)
    together = max(1, min(count, CHUNK_BYTES // max(1, sum(c[3] for c in columns))))
    arrays = [create(group, n, (count, *s), numpy_dtype(d), (together, *s)) for n, s, d, _ in columns]
    for start in range(0, count, together):
        contents = [block.payload() for block in blocks[start : start + together]]
        offset = 0
        for array, (_, shape, dtype, size) in zip(arrays, columns, strict=True):
            parts = b"".join(content[offset : offset + size] for content in contents)
            rows = np.frombuffer(parts, dtype=numpy_dtype(dtype)).reshape(len(contents), *shape)
            array[start : start + len(contents)] = rows
            offset += size


class Compacted:
    """A zarr group that :func:`compact` wrote, read row by row.

    Raises
    ------
    DamagedError
        If its stamps differ from their checksum, or it cannot be read.
    """

    def __init__(self, path: Path, layout: RowLayout) -> None:
        self.path, self.layout = path, layout
        self._arrays: list[zarr.Array] | None = None
        self._kept: tuple[int, list[bytes]] = (-1, [])
        self.stamps, self.digests = self._guarded(self._short)

    def _short(self) -> tuple[list[Stamp], list[bytes]]:
        self._group = opened(self.path)
        short = {name: values(complete(array_in(self._group, name))) for name in _SHORT}
        if checksum(short) != self._group.attrs["checksum"]:
            raise DamagedError(f"{self.path}: its stamps differ from their checksum: {_HARMED}")
        columns = [short[name].tolist() for name in _SHORT[:-1]]
        digests = [bytes(row.tolist()) for row in short["digest"]]
        stamps = [Stamp(*row) for row, _ in zip(zip(*columns, strict=True), digests, strict=True)]
        return stamps, digests

    def payload(self, row: int) -> bytes:
        """The bytes of one row, compared with the digest they were written with.

        Raises
        ------
        DamagedError
            If they differ.
        """
        content = self._guarded(lambda: self._chunk(row))
        if hashlib.blake2b(content, digest_size=16).digest() != self.digests[row]:
            raise DamagedError(
                f"{self.path}: the point of step {self.stamps[row].step} differs from its checksum: {_HARMED}"
            )
        return content

    def _chunk(self, row: int) -> bytes:
        """One row out of its chunk, which is kept for the next."""
        if self._arrays is None:
            self._arrays = [complete(array_in(self._group, name)) for name, *_ in _columns(self.layout)]
        together = self._arrays[0].chunks[0]
        number, within = divmod(row, together)
        if self._kept[0] != number:
            part = slice(number * together, min((number + 1) * together, len(self.stamps)))
            read = [np.asarray(array[part]) for array in self._arrays]
            rows = [b"".join(array[i].tobytes() for array in read) for i in range(len(read[0]))]
            self._kept = (number, rows)
        return self._kept[1][within]

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (MemoryError, StoreError, LimitError):
            raise
        except PermissionError as error:
            raise StoreError(f"{self.path} cannot be read ({error.strerror}): mend its permissions") from error
        except Exception as error:  # damaged bytes make zarr fail in any way
            line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            raise DamagedError(f"{self.path} cannot be read ({line}): {_HARMED}") from error
