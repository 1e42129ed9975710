"""The rows of a recorded trajectory, in whatever files its writer left them: segments, zarr groups, or both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg import limits
from thalweg.errors import CheckpointError, DamagedError
from thalweg.trajectories.segments import Stamp, digest, scan
from thalweg.trajectories.segments_layout import RowLayout, raw

_PART = re.compile(r"points-(\d{12})\.(seg|zarr)")
SHARDS = "points"
"""The folder of a trajectory whose points are safetensors."""


@dataclass(frozen=True)
class Row:
    """One point as it was written: what is said of it, its digest, the file it is in, and how its bytes are read."""

    stamp: Stamp
    digest: bytes
    file: Path
    read: Callable[[], bytes]


def read_rows(folder: Path, layout: RowLayout, notes: list[str], *, least: int = 0, skip: bool = False) -> list[Row]:
    """Every row that was written, in that order, ``least`` of them at least; ``skip`` notes damage and refuses none."""
    found: list[Row] = []
    for part, suffix in _parts(folder):
        try:
            rows = list(_compacted(part, layout) if suffix == "zarr" else _segment(part, notes, skip))
        except DamagedError as error:
            if not skip:
                raise
            notes.append(f"left out: {error}")
            continue
        first = found[-1].stamp.index + 1 if found else 0
        rows = [row for row in rows if row.stamp.index >= first]  # a segment whose zarr group is in its place already
        if rows and rows[0].stamp.index > first:
            _missing(f"{part}: points {first} to {rows[0].stamp.index - 1} are missing: a file before it", notes, skip)
        found += rows
    last = found[-1].stamp.index + 1 if found else 0
    if last < least:
        _missing(f"{folder}: points {last} to {least - 1} are missing: its last file", notes, skip)
    return [_shard(folder, row, layout) for row in found] if layout.shards else found


def _missing(what: str, notes: list[str], skip: bool) -> None:
    if not skip:
        raise DamagedError(f"{what} is gone or cut; restore it, or use damaged='skip'")
    notes.append(f"{what} is gone or cut")


def current(rows: list[Row]) -> list[Row]:
    """The rows that no later one of the same or an earlier step has replaced."""
    kept: list[Row] = []
    for row in rows:
        while kept and kept[-1].stamp.step >= row.stamp.step:
            kept.pop()
        kept.append(row)
    return kept


def _parts(folder: Path) -> list[tuple[Path, str]]:
    """Zarr groups and segments in the order of their first rows; of two with the same, the zarr group first."""
    found = [(m.group(1), m.group(2) != "zarr", p) for p in folder.iterdir() if (m := _PART.fullmatch(p.name))]
    return [(path, "seg" if segment else "zarr") for _, segment, path in sorted(found)]


def _segment(path: Path, notes: list[str], skip: bool) -> Iterator[Row]:
    blocks, torn = scan(path, notes if skip else None)
    if torn:
        notes.append(f"{path.name}: its last {torn:,} bytes, a point that was not written whole, were left out")
    return (Row(block.stamp, block.digest, path, block.payload) for block in blocks)


def _compacted(path: Path, layout: RowLayout) -> Iterator[Row]:
    from thalweg.trajectories.segments_zarr import Compacted  # zarr is heavy, and segments do without it

    group = Compacted(path, layout)
    for i, (stamp, blake) in enumerate(zip(group.stamps, group.digests, strict=True)):
        yield Row(stamp, blake, path, lambda i=i: group.payload(i))  # type: ignore[misc]


def shard_name(stamp: Stamp) -> str:
    """The file of one point."""
    return f"{SHARDS}/{stamp.index:06d}-step-{stamp.step}.safetensors"


def _shard(folder: Path, row: Row, layout: RowLayout) -> Row:
    path = folder / shard_name(row.stamp)

    def payload() -> bytes:
        from safetensors.torch import load

        try:
            limits.whole(path)
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror or error}; copy the file from elsewhere") from error
        if digest([content]) != row.digest:
            raise DamagedError(f"{path} differs from its checksum: copy it from elsewhere, or use damaged='skip'")
        try:
            named = load(content)
            return b"".join(raw([named[entry.name] for entry in layout.tensors]))
        except Exception as error:  # bytes that are no such file fail in any way
            line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            raise DamagedError(f"{path} holds no such point ({line}): use another copy") from error

    return Row(row.stamp, row.digest, row.file, payload)
