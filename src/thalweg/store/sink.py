"""Where the arrays of plans in progress go: one chunk per task, written whole and replaced atomically."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from thalweg.errors import DamagedError
from thalweg.store.arrays import checksum, create, on_disk


class Sink:
    """Arrays of plans under one folder.

    zarr replaces a chunk by renaming a whole file, so a process that is killed leaves the old chunk or the
    new one. Nothing is forced to the platter: after a power failure the ledger may be ahead of a chunk, and
    the checksum tells.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sizes: dict[str, int] = {}

    def open(self, plan: str, shapes: Mapping[str, tuple[int, ...]], task_size: int) -> None:
        """Make room for arrays of these shapes (first axis: points), or find them there."""
        self._sizes[plan] = task_size
        with on_disk(self.folder):
            group = zarr.open_group(str(self._group(plan)), mode="a")
            for name, shape in shapes.items():
                if name not in group:
                    create(group, name, shape, np.dtype("float64"), (task_size, *shape[1:]))

    def write(self, plan: str, start: int, arrays: Mapping[str, np.ndarray]) -> str:
        """Write one task's arrays from point ``start`` on; return their checksum."""
        with on_disk(self.folder):
            group = zarr.open_group(str(self._group(plan)), mode="r+")
            for name, array in arrays.items():
                target = group[name]
                assert isinstance(target, zarr.Array)
                target[start : start + len(array)] = array
        return checksum(arrays)

    def read(self, plan: str, checksums: Mapping[int, str]) -> dict[str, np.ndarray]:
        """All arrays of a plan.

        Raises
        ------
        DamagedError
            If a task's arrays differ from its checksum, or cannot be read; plan and task are named.
        """
        size = self._sizes[plan]
        try:
            group = zarr.open_group(str(self._group(plan)), mode="r")
            arrays = {name: np.asarray(array[...]) for name, array in group.arrays()}
        except (OSError, ValueError, KeyError) as error:
            raise DamagedError(
                f"{self._group(plan)} cannot be read ({error}): it was damaged after it was written; "
                "begin the study in another directory"
            ) from error
        for task, expected in sorted(checksums.items()):
            part = {name: array[task * size : (task + 1) * size] for name, array in arrays.items()}
            if checksum(part) != expected:
                raise DamagedError(
                    f"{self._group(plan)}: task {task} (points {task * size} on) differs from its checksum: "
                    "it was damaged after it was written; begin the study in another directory"
                )
        return arrays

    def save_state(self, plan: str, state: Mapping[str, np.ndarray]) -> None:
        """Replace the saved state of a sequential method, atomically."""
        path = self._state(plan)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with on_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                # Names hold slashes, which an archive would take for folders: they are kept in an array.
                names = np.array(list(state), dtype=np.str_)
                np.savez(file, allow_pickle=False, names=names, **_numbered(state))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)

    def load_state(self, plan: str) -> dict[str, np.ndarray] | None:
        """The last saved state, or None.

        Raises
        ------
        DamagedError
            If the file is there and cannot be read.
        """
        path = self._state(plan)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {str(name): archive[f"a{i}"] for i, name in enumerate(archive["names"])}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DamagedError(f"{path} cannot be read ({error}): remove it to begin {plan} again") from error

    def drop(self, plan: str) -> None:
        """Remove what a finished plan no longer needs."""
        with on_disk(self.folder):
            if self._group(plan).exists():
                shutil.rmtree(self._group(plan))
            self._state(plan).unlink(missing_ok=True)
            if self.folder.exists() and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _group(self, plan: str) -> Path:
        return self.folder / f"{plan}.zarr"

    def _state(self, plan: str) -> Path:
        return self.folder / f"{plan}.state.npz"


def _numbered(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {f"a{i}": x for i, x in enumerate(state.values())}
