"""The directory of one recorded trajectory while it is written: begun, gone on with, compacted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from thalweg.errors import StoreError
from thalweg.trajectories.recorder_rows import SHARDS, Row, current, read_rows, shard_name
from thalweg.trajectories.segments import Block, Lock, SegmentWriter, Stamp, cut, digest, scan
from thalweg.trajectories.segments_layout import NAME, RowLayout, closed_with, raw, read_header, write_header

MANY = 16
"""From so many segments on, as of a training that was interrupted often, they are compacted however small they are."""


class PointStore:
    """Rows appended to a directory, new or gone on with.

    Raises
    ------
    StoreError
        If the directory is foreign, cannot be written, is written by another process, or holds a trajectory and
        ``resume`` is False or the rows would be others.
    DamagedError
        If what is there does not fit its checksums.
    """

    def __init__(
        self, folder: Path, layout: RowLayout, about: Mapping[str, Any], *, resume: bool, compact: int = 0
    ) -> None:
        self.folder, self.layout, self.compact = folder, layout, compact
        if not (folder / NAME).exists():
            _empty(folder)
            write_header(folder, layout, about)
            self.about = dict(about)
        elif not resume:
            raise StoreError(f"{folder} holds a trajectory: go on with it by resume=True, or give another directory")
        else:
            kept, self.about = read_header(folder)
            _same(folder, kept, layout)
        try:
            self._lock = Lock(folder / NAME)
            if layout.shards:
                (folder / SHARDS).mkdir(exist_ok=True)
            for path in _segments(folder):
                _, torn = scan(path)
                if torn:
                    cut(path, torn)
            rows = read_rows(folder, layout, [], least=closed_with(self.about))
            for path in set(_segments(folder)) - {row.file for row in rows}:
                path.unlink()  # its first block was torn, or all its blocks had been compacted
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror or error}: give a directory that can be written to") from error
        self.rows: list[Row] = current(rows)
        """The points that count so far, oldest first."""
        self._next = rows[-1].stamp.index + 1 if rows else 0
        self._writer = SegmentWriter(folder)

    def content(self, tensors: Sequence[Tensor]) -> list[memoryview | bytes]:
        """The tensors of a row as the bytes that are kept of them."""
        if not self.layout.shards:
            return list(raw(tensors))
        from safetensors.torch import save

        named = {
            entry.name: x.detach().cpu().contiguous().clone()
            for entry, x in zip(self.layout.tensors, tensors, strict=True)
        }
        return [save(named, metadata={"format": "pt"})]

    def append(self, step: int, loss: float, rate: float, tensors: Sequence[Tensor]) -> None:
        """Write one row; tensors in the order and dtypes of the layout.

        Raises
        ------
        StoreError
            If the disk is full or the directory cannot be written any more.
        """
        stamp, parts = Stamp(self._next, step, loss, rate), self.content(tensors)
        if self.layout.shards:
            self._shard(stamp, parts)
            self._writer.append(stamp, (), digest(parts))
        else:
            self._writer.append(stamp, parts)
        self._next += 1

    def close(self) -> None:
        """Say how many rows there are; compact segments of ``compact`` bytes or many into a zarr group; else they stay.

        They are readable as before where that fails.

        Raises
        ------
        StoreError
            If the disk is full.
        """
        try:
            self._writer.close()
            self._compact()
            if self._next > closed_with(self.about):  # a file that is cut later is then told from a killed training
                self.about["points"] = self._next
                write_header(self.folder, self.layout, self.about)  # last, for it takes the place of the locked file
        finally:
            self._lock.close()

    def _compact(self) -> None:
        segments = _segments(self.folder)
        if len(segments) < MANY and sum(path.stat().st_size for path in segments) < self.compact:
            return
        blocks: list[Block] = [block for path in segments for block in scan(path)[0]]
        if blocks:
            from thalweg.trajectories.segments_zarr import compact  # zarr is heavy, and training does without it

            compact(self.folder, self.layout, blocks)
        for path in segments:
            path.unlink()

    def _shard(self, stamp: Stamp, parts: Sequence[bytes | memoryview]) -> None:
        path = self.folder / shard_name(stamp)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_bytes(b"".join(parts))
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(
                f"{path}: {error.strerror or error}; the points before it are kept: free space or permissions, then "
                "go on with resume=True"
            ) from error


def compact(path: str | Path) -> None:
    """Make one zarr group of all segments of a trajectory that is not being recorded.

    Raises
    ------
    StoreError
        If there is no trajectory, it is being written, or the disk is full.
    DamagedError
        If a point differs from its checksum.
    """
    folder = Path(path)
    PointStore(folder, read_header(folder)[0], {}, resume=True).close()


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("points-*.seg"))


def _empty(folder: Path) -> None:
    """Refuse a folder that holds anything, or cannot be made."""
    above = folder
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"{folder}: {above} cannot be written to; give another directory")
    strange = [p.name for p in folder.iterdir() if not p.name.startswith(f".{NAME}.partial")] if above == folder else []
    if strange:
        raise StoreError(f"{folder} holds {strange[0]!r} and no trajectory: give an empty directory, or a new one")


def _same(folder: Path, kept: RowLayout, asked: RowLayout) -> None:
    if kept.parameters != asked.parameters:
        for old, new in zip(kept.parameters, asked.parameters, strict=False):
            if old != new:
                raise StoreError(
                    f"{folder} holds {old.name} {list(old.shape)} in {old.dtype} where this network has {new.name} "
                    f"{list(new.shape)} in {new.dtype}: give another directory"
                )
        raise StoreError(
            f"{folder} holds {len(kept.parameters)} tensors, this network has {len(asked.parameters)}: give another "
            "directory"
        )
    for option, was, now in (
        ("statistics", bool(kept.buffers), bool(asked.buffers)),
        ("buffers", len(kept.buffers), len(asked.buffers)),
        ("sketch", kept.sketch, asked.sketch),
        ("seed", kept.seed, asked.seed),
        ("shards", kept.shards, asked.shards),
    ):
        if was != now:
            raise StoreError(
                f"{folder} was begun with {option}={was} and is gone on with {option}={now}: use the first"
            )
