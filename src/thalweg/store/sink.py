"""Where the arrays of plans in progress go: one chunk per task, written whole and replaced atomically."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from zarr.errors import ContainsArrayError, ContainsGroupError

from thalweg import limits
from thalweg.errors import DamagedError, LimitError, StoreError
from thalweg.store.arrays import METADATA, array_in, checksum, chunks_on_disk, create, values
from thalweg.store.disk import on_disk, prune, sync, sync_tree
from thalweg.store.names import named, node
from thalweg.store.state import load_state, save_state

_HARMED = "it was damaged after it was written; begin the study in another directory"


@dataclass(frozen=True)
class _Opened:
    """A plan's group and its arrays, float64 [points, …], ``size`` points to a chunk."""

    path: Path
    arrays: dict[str, zarr.Array]
    size: int
    points: int

    def part(self, task: int) -> slice:
        return slice(task * self.size, min((task + 1) * self.size, self.points))

    def chunk(self, name: str, task: int) -> Path:
        array = self.arrays[name]
        return self.path / node(name) / array.metadata.encode_chunk_key((task,) + (0,) * (array.ndim - 1))


class Sink:
    """Arrays of plans under one folder: ``NAME.zarr`` and, for sequential methods, ``NAME.state.npz``.

    zarr writes a chunk beside its place and renames it, so that a killed process leaves the old chunk or the new
    one. The chunk and its folder's entry are then forced to the disk before :meth:`write` returns, hence before
    the ledger can call the task done: a power failure costs the tasks in flight and no more, as far as the disk
    keeps its word.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, _Opened] = {}

    def open(self, plan: str, shapes: Mapping[str, tuple[int, ...]], task_size: int) -> None:
        """Make room for arrays of these shapes (first axis: points), or find them there.

        Raises
        ------
        StoreError
            If arrays of other names, shapes or task sizes are there.
        DamagedError, LimitError
            If their metadata cannot be read, or are longer than a text may be.
        """
        path = self.folder / f"{named(plan)}.zarr"
        with chunks_on_disk(self.folder):
            new = not path.exists()
            try:
                group = _group(path)
                arrays = {name: _made(group, name, shape, task_size, path) for name, shape in shapes.items()}
            except (StoreError, LimitError, OSError, MemoryError):
                raise
            except Exception as error:  # damaged metadata make zarr fail in any way
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                raise DamagedError(f"{path} cannot be read ({reason}): {_HARMED}") from error
            odd = {p.name for p in path.iterdir() if p.is_dir()} - {node(name) for name in shapes}
            if odd:
                raise StoreError(
                    f"{path} holds the array {min(odd)!r}, and {sorted(shapes)} are asked for: "
                    "repeat the first request, or use another --out directory"
                )
            if new:
                sync_tree(path)
                sync(path.parent)
        self._opened[plan] = _Opened(path, arrays, task_size, next(iter(shapes.values()))[0])

    def write(self, plan: str, start: int, arrays: Mapping[str, np.ndarray]) -> str:
        """Write one task's arrays, float64, from point ``start`` on; return their checksum.

        Raises
        ------
        StoreError
            If they are not exactly one task of the arrays that :meth:`open` made, or the disk refuses.
        """
        kept = self._plan(plan)
        task, offset = divmod(start, kept.size)
        part = kept.part(task)
        expected = {name: (part.stop - part.start, *array.shape[1:]) for name, array in kept.arrays.items()}
        given = {name: array.shape for name, array in arrays.items()}
        if offset or given != expected:
            raise StoreError(
                f"{kept.path}: a task from point {start} on has arrays {given}, and {expected} from point "
                f"{start - offset} on are expected: write whole tasks"
            )
        whole = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        with chunks_on_disk(self.folder):
            for name, array in whole.items():
                kept.arrays[name][part] = array
            # All files, then all folders: a journalling file system then has little left to do for most of them.
            chunks = [kept.chunk(name, task) for name, array in whole.items() if array.size]
            for path in (*chunks, *(chunk.parent for chunk in chunks)):
                sync(path)
        return checksum(whole)

    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        """All arrays of a plan, float64 [points, …].

        Raises
        ------
        StoreError
            If a task has no checksum: its points are then not values but room for them.
        DamagedError
            If a task's arrays differ from its checksum, or cannot be read; plan and task are named.
        """
        kept = self._plan(plan)
        tasks = range(-(-kept.points // kept.size))
        missing = sorted(set(tasks) - set(checksums))
        if missing:
            raise StoreError(f"{kept.path}: task {missing[0]} of {len(tasks)} is not done: finish the plan first")
        try:
            arrays = {name: values(array) for name, array in kept.arrays.items()}
        except (OSError, ValueError, RuntimeError):  # a chunk of another length: read by task, to name it
            arrays = {}
        for task in tasks:
            part = kept.part(task)
            try:
                found = {n: arrays[n][part] if arrays else values(a, part) for n, a in kept.arrays.items()}
            except (OSError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise DamagedError(f"{plan}, task {task}: {kept.path} cannot be read ({reason}): {_HARMED}") from error
            if checksum(found) != checksums[task]:
                raise DamagedError(
                    f"{plan}, task {task} (points {part.start} to {part.stop - 1}): {kept.path} differs from the "
                    f"ledger's checksum: {_HARMED}"
                )
        return arrays

    def save_state(self, plan: str, state: Mapping[str, np.ndarray]) -> None:
        """Replace the saved state of a sequential method, atomically."""
        save_state(self._state(plan), state)

    def load_state(self, plan: str) -> dict[str, np.ndarray] | None:
        """The last saved state, or None.

        Raises
        ------
        DamagedError
            If the file is there, and cannot be read or differs from its checksum.
        """
        return load_state(self._state(plan))

    def drop(self, plan: str) -> None:
        """Remove what a finished plan no longer needs."""
        self._opened.pop(plan, None)
        path = self.folder / f"{named(plan)}.zarr"
        with on_disk(path):
            if path.exists():
                shutil.rmtree(path)
            state = self._state(plan)
            for left in (state, *state.parent.glob(f".{glob.escape(state.name)}.*")):  # of processes that were killed
                left.unlink(missing_ok=True)
            if path.parent != self.folder:
                prune(path.parent, self.folder / Path(plan).parts[0])

    def _state(self, plan: str) -> Path:
        return self.folder / f"{named(plan)}.state.npz"

    def _plan(self, plan: str) -> _Opened:
        if plan not in self._opened:
            raise StoreError(f"plan {plan!r} is not open in {self.folder}: open it with its shapes first")
        return self._opened[plan]


def _group(path: Path) -> zarr.Group:
    """The group at the path, made where there is none."""
    if (path / METADATA).exists():
        limits.read_json(path / METADATA)
    try:
        return zarr.open_group(str(path), mode="a")
    except ContainsGroupError:  # another process made it a moment ago
        return zarr.open_group(str(path), mode="r+")


def _made(group: zarr.Group, name: str, shape: tuple[int, ...], size: int, path: Path) -> zarr.Array:
    """The array of that name, created where there is none."""
    chunks = (size, *(max(1, n) for n in shape[1:]))
    try:
        if not (path / node(name) / METADATA).exists():
            return create(group, name, shape, np.dtype(np.float64), chunks)
    except ContainsArrayError:  # another process made it a moment ago
        pass
    array = array_in(group, name)
    if (array.shape, array.chunks) != (tuple(shape), chunks):
        raise StoreError(
            f"{path}: array {name!r} is there with shape {array.shape} in chunks {array.chunks}, and {tuple(shape)} in "
            f"{chunks} is asked for: repeat the first request, or use another --out directory"
        )
    return array
